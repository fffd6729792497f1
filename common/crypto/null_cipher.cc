// The simulator's cipher: the sizes of a real one at a fraction of the time. Programs never have it, because the only
// way to it is to inject make_null_cipher.
#include <cstring>

#include "common/crypto/cipher.h"

namespace hawser {
namespace {

class NullCipher final : public PacketCipher {
 public:
  explicit NullCipher(const SecretKey& key) { std::memcpy(&seed_, key.bytes().data(), sizeof seed_); }

  bool seal(MutableByteSpan out, ByteSpan plaintext, ByteSpan ad, const Nonce& nonce) override {
    if (out.size() != plaintext.size() + kAeadTagSize) return false;
    if (!plaintext.empty()) std::memmove(out.data(), plaintext.data(), plaintext.size());
    const Tag tag = checksum(out.first(plaintext.size()), ad, nonce);
    std::memcpy(out.data() + plaintext.size(), tag.data(), tag.size());
    return true;
  }

  bool open(MutableByteSpan sealed, ByteSpan ad, const Nonce& nonce) override {
    if (sealed.size() < kAeadTagSize) return false;
    const Tag tag = checksum(sealed.first(sealed.size() - kAeadTagSize), ad, nonce);
    return std::memcmp(sealed.data() + sealed.size() - kAeadTagSize, tag.data(), tag.size()) == 0;
  }

 private:
  using Tag = std::array<uint8_t, kAeadTagSize>;

  // Every step is a bijection of `h` for a given word, so that a change in one word never goes unnoticed.
  static uint64_t mix(uint64_t h, uint64_t word) {
    h = (h ^ word) * 0x9e3779b97f4a7c15ull;
    return h ^ (h >> 32);
  }

  static uint64_t absorb(uint64_t h, ByteSpan bytes) {
    h = mix(h, bytes.size());
    uint64_t word = 0;
    for (; bytes.size() >= sizeof word; bytes = bytes.subspan(sizeof word)) {
      std::memcpy(&word, bytes.data(), sizeof word);
      h = mix(h, word);
    }
    word = 0;
    if (!bytes.empty()) std::memcpy(&word, bytes.data(), bytes.size());
    return mix(h, word);
  }

  Tag checksum(ByteSpan text, ByteSpan ad, const Nonce& nonce) const {
    const uint64_t h = absorb(absorb(absorb(seed_, nonce), ad), text);
    const uint64_t second = mix(h, 1);
    Tag tag;
    std::memcpy(tag.data(), &h, 8);
    std::memcpy(tag.data() + 8, &second, 8);
    return tag;
  }

  uint64_t seed_ = 0;
};

}  // namespace

std::unique_ptr<PacketCipher> make_null_cipher(uint8_t cipher_bit, const SecretKey& key) {
  if (cipher_bit == 0 || (cipher_bit & (cipher_bit - 1)) != 0) return nullptr;
  return std::make_unique<NullCipher>(key);
}

}  // namespace hawser
