// InterfaceWatcher: rtnetlink events into the table, and the table's changes to the callback, coalesced.
#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>

#include "platform/clock.h"
#include "platform/linux/link_state.h"
#include "platform/linux/oserror.h"
#include "platform/netlink.h"
#include "platform/route_types.h"

namespace hawser {
namespace {

bool contains_address(const Interface& interface, const InterfaceAddress& wanted) {
  return std::any_of(interface.addresses.begin(), interface.addresses.end(),
                     [&](const InterfaceAddress& a) { return a.address == wanted.address; });
}

// Something that could carry packets before cannot now.
bool lost_something(const std::vector<Interface>& before, const std::vector<Interface>& after) {
  for (const Interface& old : before) {
    const auto now = std::find_if(after.begin(), after.end(), [&](const Interface& i) { return i.index == old.index; });
    if (now == after.end() || now->name != old.name) return true;
    if ((old.up && !now->up) || (old.carrier && !now->carrier) || (!old.enslaved && now->enslaved)) return true;
    for (const InterfaceAddress& address : old.addresses) {
      if (!contains_address(*now, address)) return true;
    }
  }
  return false;
}

class Watcher final : public InterfaceWatcher {
 public:
  Watcher(EventLoop& loop, std::function<void(const Change&)> callback, Options options, UniqueFd fd, Rtnl rtnl)
      : callback_(std::move(callback)), options_(options), fd_(std::move(fd)), rtnl_(std::move(rtnl)) {
    watch_ = loop.watch_fd(fd_.get(), Interest::read, [this](EventLoop::Ready) { read_events(); });
    timer_ = loop.make_timer([this] { publish(); });
  }

  // The first callback is due whatever there is, an empty machine included.
  Status start() {
    if (Status loaded = state_.load(rtnl_); !loaded) return loaded;
    routes_changed_ = true;
    timer_.set_deadline(Time{1});
    return Done{};
  }

  std::vector<Interface> interfaces() const override { return state_.snapshot(); }
  uint64_t resyncs() const override { return resyncs_; }

  void resync() override {
    ++resyncs_;
    // What routes and rules did meanwhile is unknown.
    routes_changed_ = own_removed_ = true;
    // A failure leaves the old table: once more, soon.
    stale_ = !state_.load(rtnl_);
    if (stale_) return timer_.set_deadline(now() + options_.debounce);
    changed(true);
  }

 private:
  void read_events() {
    alignas(nlmsghdr) static thread_local char buffer[65536];
    bool route_lost = false;
    bool emptied = false;
    // Bounded, so that a storm of events cannot hold the packets up; the rest comes in the next turn.
    for (int reads = 0; reads < 256 && !emptied; ++reads) {
      const ssize_t received = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (received < 0 && errno == EINTR) continue;
      if (received < 0 && errno == ENOBUFS) {
        overflowed_ = true;
        continue;
      }
      if (received <= 0) {
        emptied = true;
        continue;
      }
      int left = static_cast<int>(received);
      for (auto* message = reinterpret_cast<nlmsghdr*>(buffer); mnl_nlmsg_ok(message, left);
           message = mnl_nlmsg_next(message, &left)) {
        switch (message->nlmsg_type) {
          case RTM_NEWROUTE:
          case RTM_DELROUTE:
            route_lost = on_route(message) || route_lost;
            break;
          case RTM_NEWRULE:
            break;
          case RTM_DELRULE:
            own_removed_ = own_removed_ || is_own_rule(message);
            break;
          default:
            state_.apply(message);
        }
      }
    }
    // Until the queue is empty the kernel goes on dropping events, and says so but once; and what is older than a reading must
    // not be applied after it.
    if (overflowed_ && !emptied) return;
    if (std::exchange(overflowed_, false)) return resync();
    changed(route_lost);
  }

  // True when a route is gone that a link may have needed.
  bool on_route(const nlmsghdr* message) {
    if (mnl_nlmsg_get_payload_len(message) < sizeof(rtmsg)) return false;
    const bool gone = message->nlmsg_type == RTM_DELROUTE;
    const auto* route = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
    if ((route->rtm_flags & RTM_F_CLONED) != 0 || route->rtm_type == RTN_LOCAL || route->rtm_type == RTN_BROADCAST ||
        route->rtm_type == RTN_MULTICAST || route->rtm_type == RTN_ANYCAST) {
      return false;
    }
    const auto attributes = RtnlAttributes<RTA_MAX + 1>::parse<rtmsg>(message);
    if (is_own_table(attributes.u32(RTA_TABLE, route->rtm_table))) {
      own_removed_ = own_removed_ || gone;
      return false;
    }
    routes_changed_ = true;
    return gone;
  }

  static bool is_own_rule(const nlmsghdr* message) {
    if (mnl_nlmsg_get_payload_len(message) < sizeof(fib_rule_hdr)) return false;
    const auto attributes = RtnlAttributes<FRA_MAX + 1>::parse<fib_rule_hdr>(message);
    return is_own_preference(attributes.u32(FRA_PRIORITY));
  }

  void changed(bool loss) {
    const std::vector<Interface> now_there = state_.snapshot();
    const bool differs = now_there != published_;
    if (!differs && !routes_changed_ && !own_removed_) return;
    if (loss || own_removed_ || lost_something(published_, now_there)) return publish();
    if (!timer_.armed()) timer_.set_deadline(now() + options_.debounce);
  }

  void publish() {
    timer_.cancel();
    if (stale_) return resync();
    Change change;
    change.interfaces = state_.snapshot();
    const bool routes = std::exchange(routes_changed_, false);
    change.own_removed = std::exchange(own_removed_, false);
    if (change.interfaces == published_ && !routes && !change.own_removed) return;
    change.loss = lost_something(published_, change.interfaces);
    change.routes_changed = routes;
    published_ = change.interfaces;
    callback_(change);
  }

  std::function<void(const Change&)> callback_;
  Options options_;
  UniqueFd fd_;
  Rtnl rtnl_;
  LinkState state_;
  std::vector<Interface> published_;
  bool routes_changed_ = false, own_removed_ = false;
  bool overflowed_ = false;  // events were lost; not read again yet
  bool stale_ = false;       // the table could not be read after an overflow
  uint64_t resyncs_ = 0;
  EventLoop::FdWatch watch_;
  EventLoop::Timer timer_;
};

Result<UniqueFd> subscribe(size_t receive_buffer) {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!fd) return os_error(ExitCode::system_integration, "cannot watch the network interfaces", errno);
  const int bytes = static_cast<int>(receive_buffer);
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  constexpr uint32_t kRules = RTMGRP_IPV4_RULE | 1u << (RTNLGRP_IPV6_RULE - 1);
  address.nl_groups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | kRules;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return os_error(ExitCode::system_integration, "cannot watch the network interfaces", errno);
  }
  return fd;
}

}  // namespace

Result<std::unique_ptr<InterfaceWatcher>> InterfaceWatcher::create(EventLoop& loop,
                                                                   std::function<void(const Change&)> callback) {
  return create(loop, std::move(callback), Options{});
}

Result<std::unique_ptr<InterfaceWatcher>> InterfaceWatcher::create(EventLoop& loop,
                                                                   std::function<void(const Change&)> callback,
                                                                   Options options) {
  // Subscribed before the first dump: what happens in between arrives as an event and is applied again, harmlessly.
  Result<UniqueFd> fd = subscribe(options.receive_buffer);
  if (!fd) return fd.error();
  Result<Rtnl> rtnl = Rtnl::open();
  if (!rtnl) return rtnl.error();
  auto watcher = std::make_unique<Watcher>(loop, std::move(callback), options, std::move(*fd), std::move(*rtnl));
  if (Status started = watcher->start(); !started) return started.error();
  return std::unique_ptr<InterfaceWatcher>(std::move(watcher));
}

}  // namespace hawser
