// Files: read, write atomically, keys with their modes, folders, the boot id.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace hawser {

// The whole file, at most `limit` bytes. Errors: configuration (missing, too large), permission.
Result<std::string> read_file(const std::string& path, size_t limit = 1 << 20);
bool file_exists(const std::string& path);
// Writes beside the file, fsyncs, renames over it, fsyncs the folder: after a crash the old or the new content is
// there.
Status write_file_atomic(const std::string& path, std::string_view content, uint32_t mode = 0644);
// A new file with this mode that must not exist yet (O_EXCL); synced. Error conflict when it exists.
Status create_file(const std::string& path, std::string_view content, uint32_t mode);
// A secret: a new file, 0600, in a folder that is made 0700. Never overwrites.
Status create_secret_file(const std::string& path, std::string_view content);
// The content of a secret, after checking that nobody but its owner can read it: else configuration with the chmod
// line. With CREDENTIALS_DIRECTORY set (systemd), files in that folder are trusted as they are.
Result<std::string> read_secret_file(const std::string& path, size_t limit = 4096);
// Makes a folder and its missing parents with `mode`; one that exists is left as it is.
Status make_directories(const std::string& path, uint32_t mode = 0700);
// Missing is fine.
Status remove_file(const std::string& path);
Status rename_file(const std::string& from, const std::string& to);
// Gives a file to a user of the system and his group, as root; false when there is no such user or we are not root.
Result<bool> change_owner(const std::string& path, const std::string& user);
// Names in a folder, sorted, without . and ..; empty when there is no such folder.
std::vector<std::string> list_directory(const std::string& path);

// "/a/b" of "/a/b/c"; "." of "c".
std::string parent_directory(const std::string& path);
// The kernel's boot id; changes with every boot.
std::string boot_id();

}  // namespace hawser
