// The registry's answers in the engine's words.
#include "server/bridge.h"

#include <algorithm>

#include "server/installation.h"

namespace hawser::server {
namespace {

using Verdict = RegistryAnswer::Verdict;

void fill_user(RegistryAnswer& a, const UserRecord& user) {
  a.user = user.id;
  a.name = user.name;
  a.inner_v4 = user.inner_v4;
  a.inner_v6 = user.inner_v6;
}

void fill(std::array<uint8_t, 32>& out, const std::optional<SecretKey>& secret) {
  if (secret) std::copy(secret->bytes().begin(), secret->bytes().end(), out.begin());
}

Verdict verdict_of(KeyState state) {
  switch (state) {
    case KeyState::active: return Verdict::accepted;
    case KeyState::disabled: return Verdict::disabled;
    // A replaced key is gone for good, like a removed one: its device has to enrol again.
    case KeyState::removed: case KeyState::replaced: return Verdict::removed;
    case KeyState::unknown: break;
  }
  return Verdict::unknown;
}

Verdict verdict_of(const TokenLookup& token, const PublicKey& key) {
  switch (token.state) {
    case TokenState::valid: return Verdict::accepted;
    // The same device again: its first success may have been lost on the way.
    case TokenState::used: return token.used_by && *token.used_by == key ? Verdict::accepted : Verdict::token_used;
    case TokenState::expired: return Verdict::token_expired;
    case TokenState::disabled: return Verdict::disabled;
    case TokenState::removed: return Verdict::removed;
    case TokenState::unknown: break;
  }
  return Verdict::unknown;
}

Verdict verdict_of(EnrolmentOutcome outcome) {
  switch (outcome) {
    case EnrolmentOutcome::enrolled: case EnrolmentOutcome::already: return Verdict::accepted;
    case EnrolmentOutcome::used: return Verdict::token_used;
    case EnrolmentOutcome::expired: return Verdict::token_expired;
    case EnrolmentOutcome::disabled: return Verdict::disabled;
    case EnrolmentOutcome::removed: return Verdict::removed;
    case EnrolmentOutcome::unknown: case EnrolmentOutcome::key_in_use: break;
  }
  return Verdict::unknown;
}

}  // namespace

void Bridge::ask(Question question) {
  if (questions_.size() < kMaxWaiting) questions_.push_back(std::move(question));
  else ++dropped_;
}

void Bridge::answer_some(Time now) {
  now_ = now;
  for (int i = 0; i < kPerTurn && !questions_.empty(); ++i) {
    const Question question = std::move(questions_.front());
    questions_.pop_front();
    const auto* lookup = std::get_if<RegistryLookup>(&question.what);
    RegistryAnswer a = lookup ? answer(*lookup) : answer(std::get<EnrolmentCommit>(question.what), question.worker, now);
    workers_.answer(question.worker, a);
    wipe(a.psk);
    wipe(a.verifier);
  }
}

RegistryAnswer Bridge::answer(const RegistryLookup& lookup) {
  RegistryAnswer a;
  a.id = lookup.id;
  if (lookup.token_id) {
    const auto token = registry_.lookup_token(*lookup.token_id, wall_clock());
    if (!token) return complain(token.error(), now_), a;
    a.verdict = verdict_of(*token, lookup.key);
    if (token->user) fill_user(a, *token->user);
    fill(a.psk, token->psk);
    fill(a.verifier, token->verifier);
    return a;
  }
  const auto key = registry_.lookup_by_key(lookup.key, wall_clock());
  if (!key) return complain(key.error(), now_), a;
  a.verdict = verdict_of(key->state);
  if (key->user) fill_user(a, *key->user);
  fill(a.psk, key->psk);
  return a;
}

RegistryAnswer Bridge::answer(const EnrolmentCommit& commit, uint32_t worker, Time now) {
  RegistryAnswer a;
  a.id = commit.id;
  const auto enrolment = registry_.commit_enrolment(commit.token_id, commit.key, wall_clock());
  if (!enrolment) return complain(enrolment.error(), now), a;
  a.verdict = verdict_of(enrolment->outcome);
  if (!enrolment->user) return a;
  fill_user(a, *enrolment->user);
  if (enrolment->outcome == EnrolmentOutcome::enrolled) log_.notice(a.name + ": enrolled a device");
  if (enrolment->replaced_key) {
    // The old device's session ends before the new one is let in: they share the user and his addresses.
    log_.notice(a.name + ": the device before it is cut off");
    // It is the one who asks that owns him.
    workers_.close(worker, a.user, wire::CloseReason::replaced);
  }
  return a;
}

std::optional<wire::CloseReason> Bridge::must_go(UserId user, const PublicKey& key) {
  const auto record = registry_.find(user, wall_clock());
  // A registry that cannot be read cuts nobody off.
  if (!record) return complain(record.error(), now_), std::nullopt;
  if (!*record || (*record)->state == UserState::removed) return wire::CloseReason::removed;
  if ((*record)->state == UserState::disabled) return wire::CloseReason::disabled;
  if ((*record)->public_key != key) return wire::CloseReason::replaced;
  return std::nullopt;
}

void Bridge::complain(const Error& error, Time now) {
  log_.write_limited(LogLevel::error, "registry", "registry: " + error.message, now);
}

}  // namespace hawser::server
