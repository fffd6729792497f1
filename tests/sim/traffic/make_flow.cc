// Picks a flow's class by its type.
#include "tests/sim/traffic/flow.h"

namespace hawser::sim {

std::unique_ptr<Flow> make_flow(EventLoop& loop, const FlowSettings& settings, const FlowEnds& ends) {
  if (settings.type == "cbr") return make_cbr_flow(loop, settings, ends);
  if (settings.type == "echo") return make_echo_flow(loop, settings, ends);
  if (settings.type == "quic") return make_quic_flow(loop, settings, ends);
  if (settings.type == "request") return make_request_flow(loop, settings, ends);
  if (settings.type == "video") return make_video_flow(loop, settings, ends);
  return make_bulk_flow(loop, settings, ends);
}

}  // namespace hawser::sim
