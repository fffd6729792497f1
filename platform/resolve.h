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

// One resolution beside the loop. Destroying it drops the answer.
class Resolution {
 public:
  static Result<std::unique_ptr<Resolution>> start(EventLoop& loop, const std::string& host,
                                                   std::function<void(Result<std::vector<IpAddress>>)> callback);
  virtual ~Resolution() = default;
};

}  // namespace hawser
