// Opening what `vpn-server init` has left on disk.
#include "server/installation.h"

#include <cstdlib>

#include "common/config/names.h"
#include "platform/clock.h"
#include "platform/files.h"

namespace hawser::server {

Result<ServerSettings> load_settings(const CommonOptions& common) {
  const std::string file = common.config_file();
  if (!file_exists(file)) {
    return Error{ExitCode::configuration, file + " does not exist; make it with: vpn-server init"};
  }
  auto text = read_file(file);
  if (!text) return text.error();
  return parse_server_settings(*text, file);
}

std::string key_file(const CommonOptions& common, const ServerSettings& settings) {
  // A hardened unit hands the key in as a credential, so that the service's own user need not be able to read /etc.
  if (const char* folder = std::getenv("CREDENTIALS_DIRECTORY"); folder != nullptr) {
    const std::string credential = std::string(folder) + "/server.key";
    if (file_exists(credential)) return credential;
  }
  return resolve_against(common.config_file(), settings.private_key_file);
}

Result<StaticKeyPair> load_key(const CommonOptions& common, const ServerSettings& settings) {
  const std::string file = key_file(common, settings);
  auto text = read_secret_file(file);
  if (!text) return text.error();
  std::string_view trimmed = *text;
  while (!trimmed.empty() && (trimmed.back() == '\n' || trimmed.back() == '\r' || trimmed.back() == ' ')) {
    trimmed.remove_suffix(1);
  }
  auto secret = parse_secret_key(trimmed);
  wipe(*text);
  if (!secret) {
    return Error{ExitCode::configuration, file + " does not hold a private key (44 characters of base64); `vpn-key new FILE` makes one"};
  }
  return StaticKeyPair::from_secret(std::move(*secret));
}

std::string registry_file(const CommonOptions& common, const ServerSettings& settings) {
  return resolve_against(common.state_dir + "/registry.db", settings.registry_file);
}

Result<Registry> open_registry(const CommonOptions& common, const ServerSettings& settings) {
  const std::string file = registry_file(common, settings);
  if (auto made = make_directories(parent_directory(file)); !made) return made.error();
  // SQLite gives the files it adds the mode of this one; an empty file is an empty database.
  if (!file_exists(file)) {
    if (auto made = create_file(file, "", 0600); !made && made.error().code != ExitCode::conflict) return made.error();
  }
  return Registry::open(file, {settings.ipv4, settings.ipv6});
}

IpAddress server_address(const std::optional<IpPrefix>& block) { return block ? block->nth(1) : IpAddress{}; }

UnixTime wall_clock() { return {wall_seconds()}; }

}  // namespace hawser::server
