// What `vpn-server init` has left on disk, as the other commands open it: server.toml, the server's key, the registry.
#pragma once

#include <string>

#include "common/config/server_settings.h"
#include "common/config/unix_time.h"
#include "common/crypto/key.h"
#include "common/result.h"
#include "server/options.h"
#include "server/registry.h"

namespace hawser::server {

// CONFIG_DIR/server.toml. Errors: configuration, with FILE:LINE:COLUMN, or the hint to run `vpn-server init`.
Result<ServerSettings> load_settings(const CommonOptions& common);

// Where the server's private key is: under systemd the unit's credential, else the file that server.toml names.
std::string key_file(const CommonOptions& common, const ServerSettings& settings);
// Errors: configuration (missing, not a key, readable by others: with the chmod line), permission.
Result<StaticKeyPair> load_key(const CommonOptions& common, const ServerSettings& settings);

// Where the registry's file is.
std::string registry_file(const CommonOptions& common, const ServerSettings& settings);
// The registry below STATE_DIR; made when it is missing.
Result<Registry> open_registry(const CommonOptions& common, const ServerSettings& settings);

// The server's own inner address of a block, its first one; unset without a block.
IpAddress server_address(const std::optional<IpPrefix>& block);

// The wall clock, for what outlives a boot: expiry of invites, rows of the registry.
UnixTime wall_clock();

}  // namespace hawser::server
