// A path as a unix socket address (inside platform/linux only). A path longer than the kernel's 107 bytes is reached
// through a descriptor of its folder, so that deep test folders work, too.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <string>

#include "platform/fd.h"
#include "platform/files.h"
#include "platform/linux/oserror.h"

namespace hawser {

class UnixAddress {
 public:
  static Result<UnixAddress> of(const std::string& path) {
    UnixAddress result;
    std::string name = path;
    if (name.size() >= sizeof result.address_.sun_path) {
      result.folder_.reset(::open(parent_directory(path).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (!result.folder_) return os_error(ExitCode::system_integration, "cannot open the folder of " + path, errno);
      name = "/proc/self/fd/" + std::to_string(result.folder_.get()) + path.substr(path.find_last_of('/'));
    }
    if (name.size() >= sizeof result.address_.sun_path) {
      return Error{ExitCode::configuration, path + " is too long for a socket's name"};
    }
    result.address_.sun_family = AF_UNIX;
    name.copy(result.address_.sun_path, name.size());
    return result;
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address_); }
  static constexpr socklen_t length() { return sizeof(sockaddr_un); }

 private:
  UniqueFd folder_;
  sockaddr_un address_{};
};

}  // namespace hawser
