// "auto" is all that the kernel has, "off" nothing, a list exactly what it names.
#include "common/config/offload.h"

#include <algorithm>

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
    {"udp-gso", &OffloadChoice::udp_gso},
    {"udp-gro", &OffloadChoice::udp_gro},
    {"tun-tso", &OffloadChoice::tun_tso},
    {"tun-uso", &OffloadChoice::tun_uso},
};
constexpr OffloadChoice kNone{false, false, false, false};

}  // namespace

void read_offload(Reader& r, const Value& advanced, OffloadChoice& out) {
  const Value* value = advanced.find("offload");
  if (value == nullptr) return;
  if (value->kind != Value::Kind::array) {
    constexpr toml_tree::Choice<OffloadChoice> kWords[] = {{"auto", {}}, {"off", kNone}};
    r.choose<OffloadChoice>(advanced, "offload", kWords, out);
    return;
  }
  out = kNone;
  r.each(advanced, "offload", R"("auto", "off" or a list like ["udp-gso", "tun-tso"])", [&](const std::string& text) {
    const auto* known =
        std::find_if(std::begin(kNames), std::end(kNames), [&](const Name& n) { return n.word == text; });
    if (known == std::end(kNames)) return quote(text) + " is not one of udp-gso, udp-gro, tun-tso, tun-uso";
    if (out.*known->member) return quote(text) + " is there twice";
    out.*known->member = true;
    return std::string();
  });
  if (out.tun_uso && !out.tun_tso)
    r.wrong(*value, "offload", "missing \"tun-tso\", without which the kernel has no \"tun-uso\"");
}

std::string render_offload(const OffloadChoice& choice) {
  if (choice == OffloadChoice{}) return quote("auto");
  if (choice == kNone) return quote("off");
  std::string out;
  for (const Name& n : kNames) {
    if (choice.*n.member) out += (out.empty() ? "" : ", ") + quote(n.word);
  }
  return "[" + out + "]";
}

}  // namespace hawser
