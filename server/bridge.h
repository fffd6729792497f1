// Between the engines and the registry: an engine asks and goes on, the bridge answers between two turns of the main loop.
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
  // What the bridge wants of the worker that asked: called in the order in which it is to happen.
  struct Workers {
    std::function<void(uint32_t worker, const RegistryAnswer&)> answer;
    std::function<void(uint32_t worker, UserId, wire::CloseReason)> close;
  };
  // Both must outlive the bridge.
  Bridge(Workers workers, Registry& registry, Log& log) : workers_(std::move(workers)), registry_(registry), log_(log) {}

  void ask(uint32_t worker, const RegistryLookup& lookup) { ask({worker, lookup}); }
  void ask(uint32_t worker, const EnrolmentCommit& commit) { ask({worker, commit}); }
  bool waiting() const { return !questions_.empty(); }
  // Answers the oldest questions, a few at a time, so that a flood of handshakes never holds up data.
  void answer_some(Time now);

  // The registry's word on a user who has a session by a device's key: nothing when both may stay, else why he, or the
  // device (`replaced`), must go.
  std::optional<wire::CloseReason> must_go(UserId user, const PublicKey& key);
  // Questions dropped because too many waited: a flood; the clients ask again.
  uint64_t dropped() const { return dropped_; }

 private:
  static constexpr size_t kMaxWaiting = 4096;
  static constexpr int kPerTurn = 32;

  struct Question {
    uint32_t worker = 0;
    std::variant<RegistryLookup, EnrolmentCommit> what;
  };

  void ask(Question question);
  RegistryAnswer answer(const RegistryLookup& lookup);
  RegistryAnswer answer(const EnrolmentCommit& commit, uint32_t worker, Time now);
  void complain(const Error& error, Time now);

  const Workers workers_;
  Registry& registry_;
  Log& log_;
  std::deque<Question> questions_;
  uint64_t dropped_ = 0;
  Time now_;
};

}  // namespace hawser::server
