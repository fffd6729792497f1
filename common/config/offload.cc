// "auto" is all that the kernel has, "off" nothing, a list exactly what it names.
#include "common/config/offload.h"

#include <algorithm>
#include <iterator>
#include <span>

namespace hawser {
namespace {

using toml_tree::quote;
using toml_tree::Reader;
using toml_tree::Value;

struct Name {
  std::string_view word;
  bool OffloadChoice::*member;
};
constexpr Name kNames[] = {
    {"udp-gso", &OffloadChoice::udp_gso},           {"udp-gro", &OffloadChoice::udp_gro},
    {"tun-tso", &OffloadChoice::tun_tso},           {"tun-uso", &OffloadChoice::tun_uso},
    {"udp-steering", &OffloadChoice::udp_steering}, {"tun-steering", &OffloadChoice::tun_steering},
};

// Those that the side has; the server's own come last.
std::span<const Name> names(OffloadSide side) {
  return std::span(kNames).first(side == OffloadSide::server ? std::size(kNames) : 4);
}

OffloadChoice none(OffloadSide side) {
  OffloadChoice choice;
  for (const Name& n : names(side)) choice.*n.member = false;
  return choice;
}

}  // namespace

void read_offload(Reader& r, const Value& advanced, OffloadSide side, OffloadChoice& out) {
  const Value* value = advanced.find("offload");
  if (value == nullptr) return;
  if (value->kind != Value::Kind::array) {
    const toml_tree::Choice<OffloadChoice> words[] = {{"auto", {}}, {"off", none(side)}};
    r.choose<OffloadChoice>(advanced, "offload", words, out);
    return;
  }
  out = none(side);
  const auto known_names = names(side);
  r.each(advanced, "offload", R"("auto", "off" or a list like ["udp-gso", "tun-tso"])", [&](const std::string& text) {
    const auto known = std::find_if(known_names.begin(), known_names.end(), [&](const Name& n) { return n.word == text; });
    if (known == known_names.end()) {
      std::string all;
      for (const Name& n : known_names) all += (all.empty() ? "" : ", ") + std::string(n.word);
      return quote(text) + " is not one of " + all;
    }
    if (out.*known->member) return quote(text) + " is there twice";
    out.*known->member = true;
    return std::string();
  });
  if (out.tun_uso && !out.tun_tso)
    r.wrong(*value, "offload", "missing \"tun-tso\", without which the kernel has no \"tun-uso\"");
}

std::string render_offload(const OffloadChoice& choice, OffloadSide side) {
  if (choice == OffloadChoice{}) return quote("auto");
  if (choice == none(side)) return quote("off");
  std::string out;
  for (const Name& n : names(side)) {
    if (choice.*n.member) out += (out.empty() ? "" : ", ") + quote(n.word);
  }
  return "[" + out + "]";
}

}  // namespace hawser
