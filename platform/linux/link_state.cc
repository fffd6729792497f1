// Interfaces from rtnetlink messages; what kind of network they are from sysfs.
#include "platform/linux/link_state.h"

#include <linux/if_addr.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "platform/files.h"

namespace hawser {
namespace {

// RFC 2863 states as the kernel reports them: ppp and wwan devices stay "unknown" while they work.
constexpr uint8_t kOperUnknown = 0;
constexpr uint8_t kOperUp = 6;
constexpr uint16_t kRawIpHardware = 519;  // ARPHRD_RAWIP, absent from the C library's header

// Modems and phones on USB: network by cellular radio, whatever they look like.
constexpr std::string_view kCellularDrivers[] = {"qmi_wwan", "cdc_mbim",   "huawei_cdc_ncm", "sierra_net",   "hso",
                                                 "ipheth",   "rndis_host", "mhi_net",        "mhi_wwan_mbim"};

bool exists(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0;
}

std::string link_target_name(const std::string& path) {
  char target[512];
  const ssize_t n = ::readlink(path.c_str(), target, sizeof target);
  if (n <= 0) return {};
  const std::string_view text(target, static_cast<size_t>(n));
  return std::string(text.substr(text.find_last_of('/') + 1));
}

// sysfs shows the namespace in which it was mounted, which need not be ours: the index tells whether this is the
// device.
bool sysfs_is_ours(const std::string& folder, uint32_t index) {
  const Result<std::string> text = read_file(folder + "/ifindex", 64);
  return text && *text == std::to_string(index) + "\n";
}

void classify(Interface& interface, uint16_t hardware_type) {
  const std::string folder = "/sys/class/net/" + interface.name;
  const bool sysfs = sysfs_is_ours(folder, interface.index);
  interface.is_virtual = !interface.kind.empty() || (sysfs && !exists(folder + "/device"));
  const Result<std::string> uevent = sysfs ? read_file(folder + "/uevent", 4096) : Result<std::string>(std::string());
  const std::string text = uevent ? *uevent : std::string();
  const std::string driver = sysfs ? link_target_name(folder + "/device/driver") : std::string();
  if (text.find("DEVTYPE=wlan") != std::string::npos || (sysfs && exists(folder + "/phy80211"))) {
    interface.type = InterfaceType::wifi;
  } else if (text.find("DEVTYPE=wwan") != std::string::npos || interface.kind == "wwan" ||
             hardware_type == kRawIpHardware ||
             std::find(std::begin(kCellularDrivers), std::end(kCellularDrivers), driver) !=
                 std::end(kCellularDrivers)) {
    interface.type = InterfaceType::cellular;
  } else if (hardware_type == ARPHRD_ETHER) {
    interface.type = InterfaceType::ethernet;
  } else {
    interface.type = InterfaceType::other;
  }
  interface.metered = interface.type == InterfaceType::cellular;
}

Status dump(Rtnl& rtnl, uint16_t type, LinkState& state) {
  RtnlMessage request(type, NLM_F_DUMP);
  if (type == RTM_GETLINK) {
    request.extra<ifinfomsg>();
  } else {
    request.extra<ifaddrmsg>();
  }
  const RtnlAnswer answer = rtnl.request(request.header(), [&](const nlmsghdr* message) { state.apply(message); });
  if (answer.error != 0) {
    return Error{ExitCode::system_integration, "cannot read the network interfaces: " + answer.text()};
  }
  return Done{};
}

}  // namespace

const char* to_string(InterfaceType type) {
  switch (type) {
    case InterfaceType::ethernet:
      return "ethernet";
    case InterfaceType::wifi:
      return "wifi";
    case InterfaceType::cellular:
      return "cellular";
    case InterfaceType::other:
      break;
  }
  return "other";
}

Status LinkState::load(Rtnl& rtnl) {
  LinkState fresh;
  if (Status links = dump(rtnl, RTM_GETLINK, fresh); !links) return links;
  if (Status addresses = dump(rtnl, RTM_GETADDR, fresh); !addresses) return addresses;
  *this = std::move(fresh);
  return Done{};
}

void LinkState::apply(const nlmsghdr* message) {
  switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return apply_link(message);
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return apply_address(message);
    default:
      return;
  }
}

void LinkState::apply_link(const nlmsghdr* message) {
  if (mnl_nlmsg_get_payload_len(message) < sizeof(ifinfomsg)) return;
  const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  // Bridges and IPv6 send link messages of their own about the same device; only the plain ones speak of the device.
  if (info->ifi_family != AF_UNSPEC) return;
  const auto index = static_cast<uint32_t>(info->ifi_index);
  if (message->nlmsg_type == RTM_DELLINK) {
    links_.erase(index);
    addresses_.erase(index);
    return;
  }
  const auto attributes = RtnlAttributes<IFLA_MAX + 1>::parse<ifinfomsg>(message);
  // A radio's own news, such as the end of a scan: it has neither operational state nor carrier.
  if (attributes[IFLA_WIRELESS] != nullptr) return;
  const auto known = links_.find(index);
  Interface next = known != links_.end() ? known->second : Interface{};
  const std::string old_name = next.name;
  next.index = index;
  if (attributes[IFLA_IFNAME] != nullptr) next.name = mnl_attr_get_str(attributes[IFLA_IFNAME]);
  next.up = (info->ifi_flags & IFF_UP) != 0;
  next.loopback = (info->ifi_flags & IFF_LOOPBACK) != 0;
  const uint8_t oper = attributes.u8(IFLA_OPERSTATE, kOperUnknown);
  next.carrier = next.up && (oper == kOperUp || oper == kOperUnknown) && attributes.u8(IFLA_CARRIER, 1) != 0;
  next.enslaved = attributes.u32(IFLA_MASTER) != 0;
  next.mtu = attributes.u32(IFLA_MTU, next.mtu);
  next.kind.clear();
  if (attributes[IFLA_LINKINFO] != nullptr) {
    mnl_attr_parse_nested(
        attributes[IFLA_LINKINFO],
        [](const nlattr* nested, void* data) {
          if (mnl_attr_get_type(nested) == IFLA_INFO_KIND) *static_cast<std::string*>(data) = mnl_attr_get_str(nested);
          return MNL_CB_OK;
        },
        &next.kind);
  }
  // sysfs is asked once per device and name, not at every change of state.
  if (known == links_.end() || old_name != next.name) classify(next, info->ifi_type);
  links_[index] = std::move(next);
}

void LinkState::apply_address(const nlmsghdr* message) {
  if (mnl_nlmsg_get_payload_len(message) < sizeof(ifaddrmsg)) return;
  const auto* info = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
  if (info->ifa_family != AF_INET && info->ifa_family != AF_INET6) return;
  const auto attributes = RtnlAttributes<IFA_MAX + 1>::parse<ifaddrmsg>(message);
  // On a point-to-point link IFA_ADDRESS is the other end; ours is IFA_LOCAL.
  IpAddress address = attributes.address(IFA_LOCAL);
  if (!address.is_set()) address = attributes.address(IFA_ADDRESS);
  if (!address.is_set()) return;
  const auto [begin, end] = addresses_.equal_range(info->ifa_index);
  const auto known = std::find_if(begin, end, [&](const auto& entry) { return entry.second.value.address == address; });
  if (known != end) addresses_.erase(known);
  if (message->nlmsg_type == RTM_DELADDR) return;
  const uint32_t flags = attributes.u32(IFA_FLAGS, info->ifa_flags);
  Address entry;
  entry.value = {address, info->ifa_prefixlen, address.is_v6() && (flags & IFA_F_TEMPORARY) != 0,
                 (flags & IFA_F_DEPRECATED) != 0};
  entry.usable = info->ifa_scope < RT_SCOPE_LINK && !address.is_link_local() && !address.is_loopback() &&
                 (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) == 0;
  addresses_.emplace(info->ifa_index, entry);
}

std::vector<Interface> LinkState::snapshot() const {
  std::vector<Interface> result;
  for (const auto& [index, link] : links_) {
    Interface interface = link;
    const auto [begin, end] = addresses_.equal_range(index);
    for (auto it = begin; it != end; ++it) {
      if (it->second.usable) interface.addresses.push_back(it->second.value);
    }
    std::sort(interface.addresses.begin(), interface.addresses.end(),
              [](const InterfaceAddress& a, const InterfaceAddress& b) { return a.address < b.address; });
    result.push_back(std::move(interface));
  }
  return result;
}

Result<std::vector<Interface>> list_interfaces() {
  Result<Rtnl> rtnl = Rtnl::open();
  if (!rtnl) return rtnl.error();
  LinkState state;
  if (Status loaded = state.load(*rtnl); !loaded) return loaded.error();
  return state.snapshot();
}

uint32_t interface_index(const std::string& name) {
  return ::if_nametoindex(name.c_str());
}

bool ipv6_enabled(const std::string& interface) {
  // No folder: the kernel has no IPv6. A device can be switched off by itself; "all" decides for those to come.
  const Result<std::string> text = read_file("/proc/sys/net/ipv6/conf/" + interface + "/disable_ipv6", 16);
  return text && !text->empty() && text->front() == '0';
}

}  // namespace hawser
