// Reads a [[link]] table.
#pragma once

#include <toml++/toml.h>

#include <span>

#include "tests/sim/scenario/scenario.h"

namespace hawser::sim {

LinkSpec read_link(const toml::table& table, Duration length);
// One [[flow]] table may stand for several equal flows.
std::vector<FlowSettings> read_flows(const toml::table& table);

// Refuses keys that nobody reads.
void check_keys(const toml::table& table, std::span<const std::string_view> known, const std::string& where);
// `user = 2`: the second user. Counted from 1 in files, from 0 here; the first when nothing is said.
size_t read_user(const toml::table& table);
std::optional<std::string> text(const toml::table& table, std::string_view key);

}  // namespace hawser::sim
