// Files with the guarantees that keys, the undo log and the configuration need.
#include "platform/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "platform/fd.h"
#include "platform/linux/oserror.h"

namespace hawser {
namespace {

Error file_error(const std::string& what, const std::string& path, int error) {
  const std::string text = "cannot " + what + " " + path + ": " + os_text(error);
  if (error == EACCES || error == EPERM) return {ExitCode::permission, text + ". Run it as root (sudo)"};
  if (error == EEXIST) return {ExitCode::conflict, path + " exists already"};
  if (error == ENOENT || error == EISDIR || error == ENOTDIR) return {ExitCode::configuration, text};
  return {ExitCode::unexpected, text};
}

Result<std::string> read_all(int fd, const std::string& path, size_t limit) {
  std::string content;
  char buffer[16384];
  for (;;) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_error("read", path, errno);
    if (n == 0) return content;
    content.append(buffer, static_cast<size_t>(n));
    if (content.size() > limit) {
      return Error{ExitCode::configuration, path + " is larger than " + std::to_string(limit) + " bytes"};
    }
  }
}

Status write_all(int fd, const std::string& path, std::string_view content) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_error("write", path, errno);
    content.remove_prefix(static_cast<size_t>(n));
  }
  return Done{};
}

// So that a rename or a new name survives a crash. A file system that cannot sync folders is left at that.
void sync_directory(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd) ::fsync(fd.get());
}

}  // namespace

Result<std::string> read_file(const std::string& path, size_t limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return file_error("open", path, errno);
  return read_all(fd.get(), path, limit);
}

bool file_exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

Status write_file_atomic(const std::string& path, std::string_view content, uint32_t mode) {
  // A symbolic link is written through, so that the link stays one (as /etc/resolv.conf often is).
  std::string target = path;
  if (char* real = ::realpath(path.c_str(), nullptr); real != nullptr) {
    target = real;
    std::free(real);
  }
  const std::string temporary = target + ".tmp" + std::to_string(::getpid());
  ::unlink(temporary.c_str());
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, static_cast<mode_t>(mode)));
  if (!fd) return file_error("create", temporary, errno);
  Status status = write_all(fd.get(), temporary, content);
  // The umask must not take from the mode that was asked for.
  if (status && ::fchmod(fd.get(), static_cast<mode_t>(mode)) != 0) status = file_error("set the mode of", path, errno);
  if (status && ::fsync(fd.get()) != 0) status = file_error("sync", path, errno);
  if (status && ::rename(temporary.c_str(), target.c_str()) != 0) status = file_error("replace", path, errno);
  if (!status) {
    ::unlink(temporary.c_str());
    return status;
  }
  sync_directory(parent_directory(target));
  return Done{};
}

Status create_file(const std::string& path, std::string_view content, uint32_t mode) {
  const UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, static_cast<mode_t>(mode)));
  if (!fd) return file_error("create", path, errno);
  Status status = write_all(fd.get(), path, content);
  if (status && ::fchmod(fd.get(), static_cast<mode_t>(mode)) != 0) status = file_error("set the mode of", path, errno);
  if (status && ::fsync(fd.get()) != 0) status = file_error("sync", path, errno);
  if (!status) {
    ::unlink(path.c_str());  // half a key is worse than none
    return status;
  }
  sync_directory(parent_directory(path));
  return Done{};
}

Status create_secret_file(const std::string& path, std::string_view content) {
  if (Status made = make_directories(parent_directory(path), 0700); !made) return made;
  return create_file(path, content, 0600);
}

Result<std::string> read_secret_file(const std::string& path, size_t limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return file_error("open", path, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return file_error("look at", path, errno);
  if (!S_ISREG(info.st_mode)) return Error{ExitCode::configuration, path + " is not a regular file"};
  const char* credentials = std::getenv("CREDENTIALS_DIRECTORY");
  const bool from_systemd = credentials != nullptr && path.rfind(std::string(credentials) + "/", 0) == 0;
  if (!from_systemd && (info.st_mode & 077) != 0) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(info.st_mode) & 07777u);
    return Error{ExitCode::configuration, path + " can be read by others (mode " + mode +
                                              "), so its secret may be known. Make a new one, or: chmod 600 " + path};
  }
  return read_all(fd.get(), path, limit);
}

Status make_directories(const std::string& path, uint32_t mode) {
  if (path.empty() || path == "/" || path == ".") return Done{};
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return Done{};
    return Error{ExitCode::configuration, path + " is in the way: it is not a folder"};
  }
  if (Status made = make_directories(parent_directory(path), mode); !made) return made;
  if (::mkdir(path.c_str(), static_cast<mode_t>(mode)) != 0) {
    if (errno == EEXIST) return Done{};
    return file_error("make the folder", path, errno);
  }
  ::chmod(path.c_str(), static_cast<mode_t>(mode));
  return Done{};
}

Status remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return file_error("remove", path, errno);
  return Done{};
}

Status rename_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return file_error("rename to " + to, from, errno);
  sync_directory(parent_directory(to));
  return Done{};
}

Result<bool> change_owner(const std::string& path, const std::string& user) {
  if (::geteuid() != 0) return false;
  passwd entry{};
  passwd* found = nullptr;
  char buffer[4096];
  if (::getpwnam_r(user.c_str(), &entry, buffer, sizeof buffer, &found) != 0 || found == nullptr) return false;
  if (::lchown(path.c_str(), entry.pw_uid, entry.pw_gid) != 0) return file_error("give to " + user, path, errno);
  return true;
}

std::vector<std::string> list_directory(const std::string& path) {
  std::vector<std::string> names;
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return names;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

std::string parent_directory(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string boot_id() {
  const Result<std::string> text = read_file("/proc/sys/kernel/random/boot_id", 64);
  if (!text) return "unknown";
  return text->substr(0, text->find('\n'));
}

}  // namespace hawser
