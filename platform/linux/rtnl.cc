// Request and answer over rtnetlink, with the kernel's extended error text.
#include "platform/linux/rtnl.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include "platform/linux/oserror.h"

namespace hawser {
namespace {

// The text the kernel put behind an error (NETLINK_EXT_ACK): a NUL-terminated attribute after the copied request.
std::string extended_text(const nlmsghdr* message) {
  if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
  size_t skip = sizeof(nlmsgerr);
  if ((message->nlmsg_flags & NLM_F_CAPPED) == 0) skip += error->msg.nlmsg_len - sizeof(nlmsghdr);
  if (mnl_nlmsg_get_payload_len(message) <= skip) return {};
  std::string text;
  mnl_attr_parse(
      message, static_cast<unsigned>(skip),
      [](const nlattr* attribute, void* data) {
        if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG) {
          *static_cast<std::string*>(data) = mnl_attr_get_str(attribute);
        }
        return MNL_CB_OK;
      },
      &text);
  return text;
}

}  // namespace

std::string RtnlAnswer::text() const {
  return message.empty() ? os_text(error) : os_text(error) + " (" + message + ")";
}

uint8_t os_family(IpAddress::Family family) {
  return family == IpAddress::Family::v6 ? AF_INET6 : AF_INET;
}

Result<Rtnl> Rtnl::open() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd) return os_error(ExitCode::system_integration, "cannot open a netlink socket", errno);
  const int on = 1;
  // Both are comforts of newer kernels: error texts, and dumps filtered by the kernel.
  ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  const timeval patience{5, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return Rtnl(std::move(fd));
}

RtnlAnswer Rtnl::once(nlmsghdr* request, const std::function<void(const nlmsghdr*)>& on_message, bool& interrupted) {
  request->nlmsg_seq = ++sequence_;
  const bool dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  if (!dump) request->nlmsg_flags |= NLM_F_ACK;
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(fd_.get(), request, request->nlmsg_len, 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel) < 0) {
    return {errno, {}};
  }
  alignas(nlmsghdr) static thread_local char buffer[65536];
  for (;;) {
    const ssize_t received = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) return {errno, {}};
    int left = static_cast<int>(received);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_seq != sequence_) continue;
      if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
      if (message->nlmsg_type == NLMSG_DONE) return {};
      if (message->nlmsg_type == NLMSG_ERROR) {
        const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
        return {-error->error, extended_text(message)};
      }
      if (message->nlmsg_type >= NLMSG_MIN_TYPE && on_message) on_message(message);
    }
  }
}

RtnlAnswer Rtnl::request(nlmsghdr* request, const std::function<void(const nlmsghdr*)>& on_message,
                         const std::function<void()>& on_restart) {
  RtnlAnswer answer;
  for (int attempt = 0; attempt < 5; ++attempt) {
    bool interrupted = false;
    answer = once(request, on_message, interrupted);
    if (!interrupted) return answer;
    if (on_restart) on_restart();
  }
  return answer;  // a table that never holds still: the last reading is as good as any
}

}  // namespace hawser
