// What NetworkManager says about the machine's interfaces, where it runs: on the system's D-Bus, never asked to start.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "platform/loop.h"
#include "platform/netlink.h"

namespace hawser {

class NetworkManager {
 public:
  // Its word about one device (org.freedesktop.NetworkManager.Device).
  struct Device {
    std::optional<bool> metered;  // the user's word or a guess; unset: it does not know
    bool portal = false;          // its check of the connection was answered by somebody else's login page
    bool operator==(const Device&) const = default;
  };

  // `changed` runs in the loop whenever something that it said is different. Null where there is no system bus.
  static std::unique_ptr<NetworkManager> watch(EventLoop& loop, std::function<void()> changed);
  virtual ~NetworkManager() = default;

  // The first answer is still due.
  virtual bool asking() const = 0;
  // By the name of the interface that carries IP; what it said last, when it does not run any more.
  virtual const std::map<std::string, Device>& devices() const = 0;

  // Writes what it says over what the kernel's view made us guess.
  void complete(std::vector<Interface>& interfaces) const;
};

}  // namespace hawser
