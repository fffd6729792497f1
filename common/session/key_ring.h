// The keys of a session: the one in use, the one before it (datagrams under way), and on the server the next one, which
// may not be used for sending before the client's first datagram under it came (key confirmation).
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "common/crypto/cipher.h"
#include "common/crypto/handshake.h"
#include "common/constants.h"
#include "common/types.h"

namespace hawser {

struct SessionKey {
  SessionIndex local, remote;    // what the peer writes to us; what we write to the peer
  SessionKeys keys;
  Time established;
  uint64_t sent = 0, received = 0;  // packets under this key

  bool expired(Time now) const {
    const KeyLimits limits = key_limits(keys.cipher);
    return now - established >= kRejectKeyAfter || sent >= limits.refuse_after || received >= limits.refuse_after;
  }
  bool wants_rekey(Time now) const {
    const KeyLimits limits = key_limits(keys.cipher);
    return now - established >= kRekeyAfter || sent >= limits.rekey_after || received >= limits.rekey_after;
  }
};

class KeyRing {
 public:
  SessionKey* current() { return current_ ? &*current_ : nullptr; }
  const SessionKey* current() const { return current_ ? &*current_ : nullptr; }

  // The key that the peer addressed; nothing when it is not ours (any more).
  SessionKey* find(SessionIndex local) {
    if (current_ && current_->local == local) return &*current_;
    if (previous_ && previous_->local == local) return &*previous_;
    for (SessionKey& k : next_) {
      if (k.local == local) return &k;
    }
    return nullptr;
  }

  // Client: in use at once. The replaced key stays for what is under way; returns the index that fell out.
  std::optional<SessionIndex> install(SessionKey key) {
    std::optional<SessionIndex> gone;
    if (previous_) gone = previous_->local;
    previous_ = std::move(current_);
    current_ = std::move(key);
    return gone;
  }
  // Server: waits for confirmation. A replayed initiation makes one of these too, so a single slot could be taken from
  // the true client; returns the index of the oldest when there are too many.
  std::optional<SessionIndex> install_next(SessionKey key) {
    std::optional<SessionIndex> gone;
    if (next_.size() >= kMaxPendingPerUser) {
      gone = next_.front().local;
      next_.erase(next_.begin());
    }
    next_.push_back(std::move(key));
    return gone;
  }
  // A datagram under `local` was authentic. If that confirms a waiting key, it is in use from now on and the others that
  // waited are void. Calls `gone(index)` for each that fell out.
  template <typename F>
  void confirm(SessionIndex local, F&& gone) {
    for (size_t i = 0; i < next_.size(); ++i) {
      if (next_[i].local != local) continue;
      SessionKey confirmed = std::move(next_[i]);
      next_.erase(next_.begin() + static_cast<ptrdiff_t>(i));
      for (const SessionKey& k : next_) gone(k.local);
      next_.clear();
      if (auto out = install(std::move(confirmed))) gone(*out);
      return;
    }
  }

  // Wipes keys that are past their life, and those that were never confirmed. Calls `gone(index)` for each.
  template <typename F>
  void expire(Time now, F&& gone) {
    for (auto* k : {&current_, &previous_}) {
      if (*k && now - (*k)->established >= kRejectKeyAfter) {
        gone((*k)->local);
        k->reset();
      }
    }
    std::erase_if(next_, [&](const SessionKey& k) {
      const bool dead = now - k.established >= kPendingLife;
      if (dead) gone(k.local);
      return dead;
    });
  }
  Time next_expiry() const {
    Time t = Time::infinite();
    for (const auto* k : {&current_, &previous_}) {
      if (*k) t = std::min(t, (*k)->established + kRejectKeyAfter);
    }
    for (const SessionKey& k : next_) t = std::min(t, k.established + kPendingLife);
    return t;
  }
  bool has_confirmed() const { return current_.has_value(); }
  bool empty() const { return !current_ && !previous_ && next_.empty(); }
  template <typename F>
  void for_each(F&& f) const {
    if (current_) f(*current_);
    if (previous_) f(*previous_);
    for (const SessionKey& k : next_) f(k);
  }

 private:
  std::optional<SessionKey> current_, previous_;
  std::vector<SessionKey> next_;
};

}  // namespace hawser
