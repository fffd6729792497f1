// The kernel's links and addresses as a table that dumps and events are applied to (inside platform/linux only).
#pragma once

#include <linux/netlink.h>

#include <map>
#include <utility>
#include <vector>

#include "platform/linux/rtnl.h"
#include "platform/netlink.h"

namespace hawser {

class LinkState {
 public:
  // Replaces everything by what the kernel says now.
  Status load(Rtnl& rtnl);
  // One RTM_NEWLINK, DELLINK, NEWADDR or DELADDR; others are passed over.
  void apply(const nlmsghdr* message);
  // Sorted by index, addresses sorted and usable only.
  std::vector<Interface> snapshot() const;

 private:
  struct Address {
    InterfaceAddress value;
    bool usable = false;
  };
  void apply_link(const nlmsghdr* message);
  void apply_address(const nlmsghdr* message);

  std::map<uint32_t, Interface> links_;
  std::multimap<uint32_t, Address> addresses_;
};

}  // namespace hawser
