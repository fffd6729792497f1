// Between the engine and the registry: the engine asks and goes on, the bridge answers between two turns of the loop.
// SQLite is quick enough for that; a registry elsewhere would only change what happens behind answer_some().
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <variant>

#include "common/session/endpoint.h"
#include "platform/log.h"
#include "server/registry.h"

namespace hawser::server {

class Bridge {
 public:
  // All must outlive the bridge.
  Bridge(Endpoint& endpoint, Registry& registry, Log& log) : endpoint_(endpoint), registry_(registry), log_(log) {}

  void ask(const RegistryLookup& lookup);
  void ask(const EnrolmentCommit& commit);
  bool waiting() const { return !questions_.empty(); }
  // Answers the oldest questions, a few at a time, so that a flood of handshakes never holds up data.
  void answer_some(Time now);

  // The registry's word on a user who has a session: nothing when he may stay, else why he must go.
  std::optional<wire::CloseReason> must_go(UserId user);
  // Questions dropped because too many waited: a flood; the clients ask again.
  uint64_t dropped() const { return dropped_; }

 private:
  static constexpr size_t kMaxWaiting = 4096;
  static constexpr int kPerTurn = 32;

  RegistryAnswer answer(const RegistryLookup& lookup);
  RegistryAnswer answer(const EnrolmentCommit& commit, Time now);
  void complain(const Error& error, Time now);

  Endpoint& endpoint_;
  Registry& registry_;
  Log& log_;
  std::deque<std::variant<RegistryLookup, EnrolmentCommit>> questions_;
  uint64_t dropped_ = 0;
  Time now_;
};

}  // namespace hawser::server
