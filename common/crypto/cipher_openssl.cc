// The data ciphers on OpenSSL's libcrypto, where it was found at build time: its AES-GCM uses the processor's wide AES
// and takes half of the time of libsodium's for a full datagram (common/DECISIONS.md has the numbers).
#include "common/crypto/cipher_backend.h"

#ifdef HAWSER_OPENSSL
#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace hawser {
namespace {

using Context = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

// A context keeps the key's schedule; its memory is wiped when it is freed. One direction is used of each object, so
// the other context is made when it is first asked for.
class OpenSslCipher final : public PacketCipher {
 public:
  OpenSslCipher(const EVP_CIPHER* cipher, const SecretKey& key) : cipher_(cipher), key_(key.clone()) {}

  bool seal(MutableByteSpan out, ByteSpan plaintext, ByteSpan ad, const Nonce& nonce) override {
    if (out.size() != plaintext.size() + kAeadTagSize || plaintext.size() > kMaxText) return false;
    int length = 0;
    return begin(seal_, true, ad, nonce) &&
           EVP_EncryptUpdate(seal_.get(), out.data(), &length, plaintext.data(), static_cast<int>(plaintext.size())) ==
               1 &&
           EVP_EncryptFinal_ex(seal_.get(), out.data() + length, &length) == 1 &&
           EVP_CIPHER_CTX_ctrl(seal_.get(), EVP_CTRL_AEAD_GET_TAG, kAeadTagSize, out.data() + plaintext.size()) == 1;
  }

  bool open(MutableByteSpan sealed, ByteSpan ad, const Nonce& nonce) override {
    if (sealed.size() < kAeadTagSize || sealed.size() > kMaxText) return false;
    const size_t size = sealed.size() - kAeadTagSize;
    int length = 0;
    return begin(open_, false, ad, nonce) &&
           EVP_DecryptUpdate(open_.get(), sealed.data(), &length, sealed.data(), static_cast<int>(size)) == 1 &&
           EVP_CIPHER_CTX_ctrl(open_.get(), EVP_CTRL_AEAD_SET_TAG, kAeadTagSize, sealed.data() + size) == 1 &&
           EVP_DecryptFinal_ex(open_.get(), sealed.data() + size, &length) == 1;
  }

  // A first use that works: what a machine's libcrypto refuses is not found out by the first packet.
  bool works() {
    std::array<uint8_t, kAeadTagSize> nothing{};
    return seal(nothing, {}, {}, Nonce{}) && open(nothing, {}, Nonce{});
  }

 private:
  static constexpr size_t kMaxText = 65'535;

  bool begin(Context& context, bool sealing, ByteSpan ad, const Nonce& nonce) {
    int length = 0;
    if (!context) {
      context.reset(EVP_CIPHER_CTX_new());
      if (!context ||
          EVP_CipherInit_ex(context.get(), cipher_, nullptr, key_.bytes().data(), nullptr, sealing ? 1 : 0) != 1) {
        context.reset();
        return false;
      }
    }
    return EVP_CipherInit_ex(context.get(), nullptr, nullptr, nullptr, nonce.data(), -1) == 1 &&
           (ad.empty() ||
            EVP_CipherUpdate(context.get(), nullptr, &length, ad.data(), static_cast<int>(ad.size())) == 1);
  }

  const EVP_CIPHER* const cipher_;
  SecretKey key_;
  Context seal_{nullptr, &EVP_CIPHER_CTX_free}, open_{nullptr, &EVP_CIPHER_CTX_free};
};

// Null when this libcrypto does not have it. A file in /etc must not decide which implementation encrypts.
const EVP_CIPHER* look_up(const char* name) {
  if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr) != 1) return nullptr;
  const EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, name, nullptr);
  return cipher != nullptr && OpenSslCipher(cipher, SecretKey{}).works() ? cipher : nullptr;
}

}  // namespace

std::unique_ptr<PacketCipher> make_openssl_cipher(uint8_t cipher_bit, const SecretKey& key) {
  static const EVP_CIPHER* const gcm = look_up("AES-256-GCM");
  static const EVP_CIPHER* const chacha = look_up("ChaCha20-Poly1305");
  const EVP_CIPHER* cipher = cipher_bit == wire::kCipherAes256Gcm  ? gcm
                             : cipher_bit == wire::kCipherChaCha20 ? chacha
                                                                   : nullptr;
  return cipher != nullptr ? std::make_unique<OpenSslCipher>(cipher, key) : nullptr;
}

}  // namespace hawser

#else

namespace hawser {
std::unique_ptr<PacketCipher> make_openssl_cipher(uint8_t, const SecretKey&) {
  return nullptr;
}
}  // namespace hawser

#endif
