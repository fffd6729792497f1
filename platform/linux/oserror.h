// errno as text for Error messages (inside platform/linux only).
#pragma once

#include <cerrno>
#include <cstring>
#include <string>

#include "common/result.h"

namespace hawser {

inline std::string os_text(int error) {
  return std::strerror(error);
}

// EPERM and EACCES become `permission` with a hint, everything else `code`.
inline Error os_error(ExitCode code, const std::string& what, int error) {
  if (error == EPERM || error == EACCES) {
    return {ExitCode::permission, what + ": " + os_text(error) + ". This needs root (CAP_NET_ADMIN): run it with sudo"};
  }
  return {code, what + ": " + os_text(error)};
}

}  // namespace hawser
