// Invites are pasted by people from anywhere: decoding is total, and what decodes encodes to an invite that means the
// same. Input: one byte of choice, then the text, or (odd choice) the bytes inside, to which the harness adds the
// checksum that would stop nearly every input.
#include "common/config/invite.h"

#include <sodium.h>

#include "common/crypto/hash.h"
#include "tests/fuzz/check.h"

using namespace hawser;

namespace {

constexpr std::string_view kPrefix = "hawser1:";

void check(std::string_view text) {
  const auto invite = decode_invite(text);
  if (!invite) {
    FUZZ_CHECK(invite.error().code == ExitCode::configuration && !invite.error().message.empty());
    return;
  }
  FUZZ_CHECK(!invite->endpoints.empty() && invite->endpoints.size() <= kMaxInviteEndpoints);
  const auto again = encode_invite(*invite);
  FUZZ_CHECK(again);
  const auto copy = decode_invite(*again);
  FUZZ_CHECK(copy);
  FUZZ_CHECK(copy->server_public_key == invite->server_public_key && copy->token == invite->token);
  FUZZ_CHECK(copy->endpoints == invite->endpoints && copy->expires == invite->expires);
}

std::string with_checksum(ByteSpan body) {
  Bytes16 hash;
  blake2b(hash, {ByteSpan(reinterpret_cast<const uint8_t*>(kPrefix.data()), kPrefix.size()), body});
  std::vector<uint8_t> bytes(body.begin(), body.end());
  bytes.insert(bytes.end(), hash.begin(), hash.begin() + 8);
  constexpr int kVariant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
  std::string text(sodium_base64_encoded_len(bytes.size(), kVariant), '\0');
  sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(), kVariant);
  text.pop_back();
  return std::string(kPrefix) + text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteSpan rest(data + 1, size - 1);
  if (data[0] & 1) {
    check(with_checksum(rest));
  } else {
    check({reinterpret_cast<const char*>(rest.data()), rest.size()});
  }
  return 0;
}
