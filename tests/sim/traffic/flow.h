// A flow of traffic between two hosts, and what is measured of it.
#pragma once

#include <map>
#include <string>

#include "tests/sim/core/event_loop.h"
#include "tests/sim/core/samples.h"
#include "tests/sim/net/host.h"
#include "tests/sim/tcp/connection.h"

namespace hawser::sim {

enum class Heading : uint8_t { up, down };  // up: the client sends

struct FlowSettings {
  std::string name;
  std::string type = "tcp";  // tcp, quic, cbr, echo, request, video
  Heading heading = Heading::down;
  size_t user = 0;           // whose client it belongs to
  std::string over;          // a link's name: not through the tunnel. Empty: through it
  Duration start{}, stop = Duration::infinite();
  TcpSettings tcp;
  uint64_t bytes = TcpSender::kForever;  // of a transfer; of one answer; of one video chunk
  bool count_in_goodput = true;
  size_t packet_bytes = 1000;            // cbr and echo: IP packet
  double packets_per_second = 50;
  uint16_t port = 0;                     // the server's; 0: the type's own
  uint8_t dscp = 0;
  Duration interval{};                   // request and video: from one request to the next; 0: as soon as one is done
  bool new_connection = false;           // request: a handshake each time
  size_t burst = 1;                      // cbr: packets at once
};

struct Window {
  Time from, to;  // what is measured
};

// Names and values, for example "goodput" in Mbit/s, "rtt_p99" in ms. `bins`: bytes delivered per 100 ms, whole run.
struct FlowResult {
  std::string name, type;
  bool through_tunnel = true, counts = true;
  Heading heading = Heading::down;
  std::map<std::string, double> values;
  std::vector<double> bins;
  std::vector<std::pair<double, double>> delays;  // second of the run, ms
};

class Flow {
 public:
  explicit Flow(EventLoop& loop, FlowSettings settings) : loop_(loop), settings_(std::move(settings)) {}
  virtual ~Flow() = default;
  virtual void start() = 0;
  // Values of the window; `idle`: the time before the load began, for what an empty network is like.
  virtual FlowResult result(const Window& window, const Window& idle) const = 0;
  const FlowSettings& settings() const { return settings_; }

 protected:
  bool stopped() const { return loop_.now() - EventLoop::kStart >= settings_.stop; }

  EventLoop& loop_;
  const FlowSettings settings_;
};

// The two ends of a flow and its ports.
struct FlowEnds {
  Host& client;
  Host& server;
  uint16_t client_port;
  uint16_t server_port;
  uint64_t seed;
};

std::unique_ptr<Flow> make_flow(EventLoop& loop, const FlowSettings& settings, const FlowEnds& ends);
std::unique_ptr<Flow> make_bulk_flow(EventLoop&, const FlowSettings&, const FlowEnds&);
std::unique_ptr<Flow> make_request_flow(EventLoop&, const FlowSettings&, const FlowEnds&);
std::unique_ptr<Flow> make_video_flow(EventLoop&, const FlowSettings&, const FlowEnds&);
std::unique_ptr<Flow> make_cbr_flow(EventLoop&, const FlowSettings&, const FlowEnds&);
std::unique_ptr<Flow> make_echo_flow(EventLoop&, const FlowSettings&, const FlowEnds&);
std::unique_ptr<Flow> make_quic_flow(EventLoop&, const FlowSettings&, const FlowEnds&);

}  // namespace hawser::sim
