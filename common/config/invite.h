// Invites: one line of text that lets one device enrol once. Everything in it is from outside until the checksum and
// bounds hold; the server's handshake then proves the key, and the token proves the client.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/host_port.h"
#include "common/config/unix_time.h"
#include "common/crypto/key.h"
#include "common/result.h"

namespace hawser {

inline constexpr size_t kMaxInviteEndpoints = 8;
inline constexpr size_t kMaxInviteText = 4096;

struct Invite {
  std::vector<HostPort> endpoints;  // 1..kMaxInviteEndpoints
  PublicKey server_public_key;
  std::array<uint8_t, 16> token{};  // secret; wiped with the object
  UnixTime expires;

  Invite() = default;
  Invite(const Invite&) = default;
  Invite& operator=(const Invite&) = default;
  ~Invite();
  bool expired(UnixTime now) const { return now >= expires; }
};

// "hawser1:" and base64url; no shell metacharacters. Errors: no endpoint, too many, a name too long (configuration).
Result<std::string> encode_invite(const Invite& invite);
// White space around and inside (a line wrapped by a mail program) is tolerated. Errors: ExitCode::configuration with
// what is wrong and what to do. Expiry is the caller's to check: Invite::expired, ExitCode::refused.
Result<Invite> decode_invite(std::string_view text);

}  // namespace hawser
