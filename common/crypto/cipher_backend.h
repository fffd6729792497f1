// The two libraries that a data cipher can come from. make_cipher chooses; tests and benchmarks compare them.
#pragma once

#include "common/crypto/cipher.h"

namespace hawser {

// For exactly one wire::CipherBit of supported_ciphers().
std::unique_ptr<PacketCipher> make_sodium_cipher(uint8_t cipher_bit, const SecretKey& key);
// The same; null where it was not built in or libcrypto does not have the cipher.
std::unique_ptr<PacketCipher> make_openssl_cipher(uint8_t cipher_bit, const SecretKey& key);

}  // namespace hawser
