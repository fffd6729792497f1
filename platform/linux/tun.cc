// TUN devices: opening, configuring by rtnetlink. Moving packets: tun_packets.cc.
#include "platform/tun.h"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "platform/linux/oserror.h"
#include "platform/linux/rtnl.h"
#include "platform/netlink.h"

namespace hawser {
namespace {

constexpr char kDevice[] = "/dev/net/tun";

bool valid_interface_name(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == "..") return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

Error no_device(int error) {
  return {ExitCode::system_integration,
          std::string("cannot open ") + kDevice + ": " + os_text(error) +
              ". Load the driver with: modprobe tun. In a container, start it with --device " + kDevice +
              " --cap-add NET_ADMIN"};
}

// Makes the device of that name or attaches to it; 0 or errno. The name that it got is in `request`.
int attach(int fd, const std::string& name, int flags, ifreq& request) {
  request = {};
  request.ifr_flags = static_cast<short>(flags);
  std::copy(name.begin(), name.end(), request.ifr_name);
  return ::ioctl(fd, TUNSETIFF, &request) == 0 ? 0 : errno;
}

// No link-local address of its own, hence no router solicitations and multicast reports into the tunnel. A kernel
// without IPv6 refuses, which is as quiet.
void silence_ipv6(Rtnl& rtnl, uint32_t index) {
  RtnlMessage message(RTM_NEWLINK, 0);
  message.extra<ifinfomsg>()->ifi_index = static_cast<int>(index);
  nlattr* spec = message.begin_nested(IFLA_AF_SPEC);
  nlattr* inet6 = message.begin_nested(AF_INET6);
  message.put_u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  message.end_nested(inet6);
  message.end_nested(spec);
  rtnl.request(message.header());
}

Result<RtnlAnswer> change_address(uint16_t type, uint16_t flags, uint32_t index, const IpPrefix& address) {
  Result<Rtnl> rtnl = Rtnl::open();
  if (!rtnl) return rtnl.error();
  RtnlMessage message(type, flags);
  auto* extra = message.extra<ifaddrmsg>();
  extra->ifa_family = os_family(address.address.family);
  extra->ifa_prefixlen = address.length;
  extra->ifa_index = index;
  extra->ifa_scope = RT_SCOPE_UNIVERSE;
  message.put_address(IFA_LOCAL, address.address);
  message.put_address(IFA_ADDRESS, address.address);
  // Nobody else is on a tunnel to ask whether the address is free; without this it would be unusable for a second.
  if (address.address.is_v6()) message.put_u32(IFA_FLAGS, IFA_F_NODAD);
  return rtnl->request(message.header());
}

Status change_link(uint32_t index, const std::string& what, const std::function<void(RtnlMessage&, ifinfomsg&)>& fill) {
  Result<Rtnl> rtnl = Rtnl::open();
  if (!rtnl) return rtnl.error();
  RtnlMessage message(RTM_NEWLINK, 0);
  auto* extra = message.extra<ifinfomsg>();
  extra->ifi_index = static_cast<int>(index);
  fill(message, *extra);
  const RtnlAnswer answer = rtnl->request(message.header());
  if (answer.error != 0) return os_error(ExitCode::system_integration, "cannot " + what, answer.error);
  return Done{};
}

}  // namespace

Result<TunDevice> TunDevice::open(const std::string& name, TunOffload wanted, bool multi_queue) {
  const bool any = name == "auto";
  if (!any && !valid_interface_name(name)) {
    return Error{ExitCode::configuration, "\"" + name + "\" is no name for an interface: 1-15 of a-z A-Z 0-9 . _ -"};
  }
  UniqueFd fd(::open(kDevice, O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    if (errno == EPERM || errno == EACCES)
      return os_error(ExitCode::permission, std::string("cannot open ") + kDevice, errno);
    return no_device(errno);
  }
  // EXCL: never attach to a persistent device that somebody else made. The kernel fills in %d with the first free
  // number.
  const int flags = IFF_TUN | IFF_NO_PI | IFF_TUN_EXCL | (wanted.tcp ? IFF_VNET_HDR : 0);
  const std::string pattern = any ? "hawser%d" : name;
  ifreq request{};
  int error = attach(fd.get(), pattern, flags | (multi_queue ? IFF_MULTI_QUEUE : 0), request);
  if (error == EINVAL && multi_queue && interface_index(name) == 0) {
    multi_queue = false;
    error = attach(fd.get(), pattern, flags, request);
  }
  if (error != 0) {
    if (error == EBUSY || error == EEXIST || (error == EINVAL && interface_index(name) != 0)) {
      return Error{ExitCode::conflict, "an interface " + name + " exists already. Look at it with: ip link show " +
                                           name + "; or choose another with interface = \"auto\""};
    }
    return os_error(ExitCode::system_integration, "cannot make the TUN device " + name, error);
  }
  TunDevice tun(std::move(fd), request.ifr_name, interface_index(request.ifr_name));
  tun.multi_queue_ = multi_queue;
  if (wanted.tcp) tun.negotiate(wanted);
  Result<Rtnl> rtnl = Rtnl::open();
  if (!rtnl) return rtnl.error();
  silence_ipv6(*rtnl, tun.index_);
  return tun;
}

Result<TunDevice> TunDevice::open_queue() const {
  UniqueFd fd(steered_ ? ::open(kDevice, O_RDWR | O_CLOEXEC | O_NONBLOCK) : ::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  if (!fd) return os_error(ExitCode::system_integration, "cannot open another queue of " + name_, errno);
  if (steered_) {
    ifreq request{};
    const int flags = IFF_TUN | IFF_NO_PI | IFF_MULTI_QUEUE | (has_header() ? IFF_VNET_HDR : 0);
    if (const int error = attach(fd.get(), name_, flags, request); error != 0)
      return os_error(ExitCode::system_integration, "cannot open another queue of " + name_, error);
  }
  TunDevice queue(std::move(fd), name_, index_);
  queue.share_offloads(*this);
  queue.multi_queue_ = multi_queue_;
  queue.steered_ = queue.readable_ = steered_;
  return queue;
}

Status TunDevice::set_mtu(uint32_t mtu) {
  return change_link(index_, "set the MTU of " + name_ + " to " + std::to_string(mtu),
                     [&](RtnlMessage& message, ifinfomsg&) { message.put_u32(IFLA_MTU, mtu); });
}

Status TunDevice::set_up(bool up) {
  return change_link(index_, "set " + name_ + (up ? " up" : " down"), [&](RtnlMessage&, ifinfomsg& extra) {
    extra.ifi_change = IFF_UP;
    extra.ifi_flags = up ? static_cast<unsigned>(IFF_UP) : 0u;
  });
}

Status TunDevice::add_address(const IpPrefix& address) {
  const Result<RtnlAnswer> answer = change_address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index_, address);
  if (!answer) return answer.error();
  if (answer->error != 0 && answer->error != EEXIST) {
    if (address.address.is_v6() && !ipv6_enabled(name_)) {
      return Error{ExitCode::system_integration, "cannot give " + name_ + " the address " + address.to_string() +
                                                     ": IPv6 is switched off on this machine (sysctl " +
                                                     "net.ipv6.conf.all.disable_ipv6)"};
    }
    return os_error(ExitCode::system_integration, "cannot give " + name_ + " the address " + address.to_string(),
                    answer->error);
  }
  if (std::find(addresses_.begin(), addresses_.end(), address) == addresses_.end()) addresses_.push_back(address);
  return Done{};
}

Status TunDevice::remove_address(const IpPrefix& address) {
  const Result<RtnlAnswer> answer = change_address(RTM_DELADDR, 0, index_, address);
  if (!answer) return answer.error();
  if (answer->error != 0 && answer->error != EADDRNOTAVAIL && answer->error != ENODEV) {
    return os_error(ExitCode::system_integration, "cannot take the address " + address.to_string() + " from " + name_,
                    answer->error);
  }
  std::erase(addresses_, address);
  return Done{};
}

Status TunDevice::set_addresses(const std::vector<IpPrefix>& addresses) {
  const std::vector<IpPrefix> before = addresses_;
  for (const IpPrefix& address : before) {
    if (std::find(addresses.begin(), addresses.end(), address) != addresses.end()) continue;
    if (Status removed = remove_address(address); !removed) return removed;
  }
  for (const IpPrefix& address : addresses) {
    // A machine without IPv6 gets its IPv4 all the same; what is missing can be seen in addresses().
    if (address.address.is_v6() && !ipv6_enabled(name_)) continue;
    if (Status added = add_address(address); !added) return added;
  }
  return Done{};
}

}  // namespace hawser
