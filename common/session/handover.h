// What goes from the worker that took a handshake to the one that owns its user.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "common/crypto/handshake.h"
#include "common/session/events.h"

namespace hawser {

struct HandedHandshake {
  std::array<uint8_t, 16> mac1{};
  std::vector<UdpTuple> from;                 // where the answer goes
  std::optional<PendingHandshake> handshake;  // unset: another copy came, of one that was handed over before
  RegistryAnswer answer;

  HandedHandshake(const std::array<uint8_t, 16>& mac, std::vector<UdpTuple> tuples) : mac1(mac), from(std::move(tuples)) {}
  HandedHandshake(const HandedHandshake&) = delete;
  HandedHandshake& operator=(const HandedHandshake&) = delete;
  ~HandedHandshake() {
    wipe(answer.psk);
    wipe(answer.verifier);
  }
};

}  // namespace hawser
