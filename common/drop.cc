// Names of the drop reasons, as status and metrics show them.
#include "common/drop.h"

namespace hawser {

const char* name(DropReason reason) {
  static constexpr const char* kNames[] = {
      "malformed",  "version",        "mac1",           "cookie_required", "handshake_budget", "handshake_auth",   "unknown_user",
      "unknown_index", "auth",        "expired_key",    "replay",          "bad_frame",        "bad_path",         "spoofed_source",
      "bad_packet", "not_connected",  "no_route",       "too_big",         "ingress_aqm",      "ingress_full",     "ingress_duplicate",
      "resequencer_late", "resequencer_full", "duplicate", "reassembly",    "expired",         "ecn_congestion",   "no_buffer",        "transmit"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == kDropReasons);
  const auto i = static_cast<size_t>(reason);
  return i < kDropReasons ? kNames[i] : "unknown";
}

}  // namespace hawser
