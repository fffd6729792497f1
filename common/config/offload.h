// [advanced] offload, the same in the profile and in server.toml: "auto", "off", or a list of what may be used. For
// this room only.
#pragma once

#include "common/config/toml.h"
#include "common/offload.h"

namespace hawser {

// A server's has some that a client has not.
enum class OffloadSide { client, server };
void read_offload(toml_tree::Reader& reader, const toml_tree::Value& advanced, OffloadSide side, OffloadChoice& out);
// The value as TOML.
std::string render_offload(const OffloadChoice& choice, OffloadSide side);

}  // namespace hawser
