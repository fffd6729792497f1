// Names to addresses. Blocking, or in a thread of its own beside the loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/net.h"
#include "common/result.h"
#include "platform/loop.h"

namespace hawser {

// IPv6 and IPv4 addresses of `host` in the system's order; an address is returned as it is. Error no_answer when the
// name cannot be resolved.
Result<std::vector<IpAddress>> resolve(const std::string& host);

// The same, but the resolvers of the machine (those of /etc/resolv.conf; those that systemd-resolved asks when it names
// none but this machine) are asked directly, by `interface`: also where the way that the machine's own questions take is dead.
// Exactly this name: nothing of /etc/hosts, no search domains. 5 s at most. At most kMaxResolvedBy addresses, IPv4 and IPv6 in
// turn: it is one network's word. Error no_answer when none comes, unexpected when there is nobody to ask.
Result<std::vector<IpAddress>> resolve_by(const std::string& host, const std::string& interface);
inline constexpr size_t kMaxResolvedBy = 4;

// One resolution beside the loop. Destroying it drops the answer.
class Resolution {
 public:
  using Callback = std::function<void(Result<std::vector<IpAddress>>)>;
  static Result<std::unique_ptr<Resolution>> start(EventLoop& loop, const std::string& host, Callback callback);
  static Result<std::unique_ptr<Resolution>> start_by(EventLoop& loop, const std::string& host,
                                                      const std::string& interface, Callback callback);
  virtual ~Resolution() = default;
};

}  // namespace hawser
