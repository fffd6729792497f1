// One request-and-answer rtnetlink socket, and the small parsing helpers around libmnl (inside platform/linux only).
#pragma once

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include <array>
#include <functional>
#include <string>

#include "common/net.h"
#include "common/result.h"
#include "platform/fd.h"

namespace hawser {

// What the kernel said to a request.
struct RtnlAnswer {
  int error = 0;        // errno, 0 for success
  std::string message;  // the kernel's own explanation, often empty
  std::string text() const;
};

class Rtnl {
 public:
  static Result<Rtnl> open();
  // Sends `request` and hands each message of the answer to `on_message`; a dump that changed meanwhile is read again,
  // after `on_restart`.
  RtnlAnswer request(nlmsghdr* request, const std::function<void(const nlmsghdr*)>& on_message = {},
                     const std::function<void()>& on_restart = {});

 private:
  explicit Rtnl(UniqueFd fd) : fd_(std::move(fd)) {}
  RtnlAnswer once(nlmsghdr* request, const std::function<void(const nlmsghdr*)>& on_message, bool& interrupted);

  UniqueFd fd_;
  uint32_t sequence_ = 0;
};

// A request under construction, large enough for every message we send.
class RtnlMessage {
 public:
  RtnlMessage(uint16_t type, uint16_t flags) {
    header_ = mnl_nlmsg_put_header(buffer_.data());
    header_->nlmsg_type = type;
    header_->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  }
  RtnlMessage(const RtnlMessage&) = delete;
  RtnlMessage& operator=(const RtnlMessage&) = delete;

  template <typename T>
  T* extra() {
    return static_cast<T*>(mnl_nlmsg_put_extra_header(header_, sizeof(T)));
  }
  void put_u32(uint16_t type, uint32_t value) { mnl_attr_put_u32(header_, type, value); }
  void put_u8(uint16_t type, uint8_t value) { mnl_attr_put_u8(header_, type, value); }
  void put_string(uint16_t type, const std::string& value) { mnl_attr_put_strz(header_, type, value.c_str()); }
  void put_address(uint16_t type, const IpAddress& a) {
    mnl_attr_put(header_, type, a.octets().size(), a.octets().data());
  }
  nlattr* begin_nested(uint16_t type) { return mnl_attr_nest_start(header_, type); }
  void end_nested(nlattr* nest) { mnl_attr_nest_end(header_, nest); }
  nlmsghdr* header() { return header_; }

 private:
  alignas(nlmsghdr) std::array<char, 1024> buffer_{};
  nlmsghdr* header_;
};

// The attributes of a message by their type; types beyond the table are passed over.
template <size_t N>
struct RtnlAttributes {
  std::array<const nlattr*, N> at{};

  template <typename Extra>
  static RtnlAttributes parse(const nlmsghdr* message) {
    RtnlAttributes attributes;
    mnl_attr_parse(
        message, sizeof(Extra),
        [](const nlattr* attribute, void* data) {
          const uint16_t type = mnl_attr_get_type(attribute);
          if (type < N) static_cast<RtnlAttributes*>(data)->at[type] = attribute;
          return MNL_CB_OK;
        },
        &attributes);
    return attributes;
  }
  const nlattr* operator[](size_t type) const { return at[type]; }
  // Missing or of another length: the default.
  uint32_t u32(size_t type, uint32_t otherwise = 0) const {
    return at[type] != nullptr && mnl_attr_get_payload_len(at[type]) >= 4 ? mnl_attr_get_u32(at[type]) : otherwise;
  }
  uint8_t u8(size_t type, uint8_t otherwise = 0) const {
    return at[type] != nullptr && mnl_attr_get_payload_len(at[type]) >= 1 ? mnl_attr_get_u8(at[type]) : otherwise;
  }
  IpAddress address(size_t type) const {
    if (at[type] == nullptr) return {};
    const auto* bytes = static_cast<const uint8_t*>(mnl_attr_get_payload(at[type]));
    const size_t length = mnl_attr_get_payload_len(at[type]);
    return length == 4    ? IpAddress::v4(ByteSpan(bytes, 4))
           : length == 16 ? IpAddress::v6(ByteSpan(bytes, 16))
                          : IpAddress{};
  }
};

// AF_INET or AF_INET6.
uint8_t os_family(IpAddress::Family family);

}  // namespace hawser
