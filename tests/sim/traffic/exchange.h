// One TCP connection on which the client asks and the server answers with so many bytes, one request at a time.
#pragma once

#include "tests/sim/traffic/flow.h"

namespace hawser::sim {

class Exchange {
 public:
  static constexpr uint64_t kRequestBytes = 300;

  Exchange(EventLoop& loop, const FlowSettings& settings, const FlowEnds& ends, std::function<void()> done)
      : bytes_(settings.bytes),
        done_(std::move(done)),
        client_(loop, ends.client, ends.client_port, ends.server.address(), ends.server_port, settings.tcp,
                [this](uint64_t n) { answered(n); }),
        server_(loop, ends.server, ends.server_port, ends.client.address(), ends.client_port, settings.tcp,
                [this](uint64_t n) { asked(n); }) {}

  void ask() {
    if (!connected_) client_.connect();
    connected_ = true;
    client_.write(kRequestBytes);
  }

 private:
  void asked(uint64_t n) {
    for (asked_ += n; asked_ >= kRequestBytes; asked_ -= kRequestBytes) server_.write(bytes_);
  }
  void answered(uint64_t n) {
    answered_ += n;
    if (answered_ < bytes_) return;
    answered_ -= bytes_;
    done_();
  }

  const uint64_t bytes_;
  std::function<void()> done_;
  uint64_t asked_ = 0, answered_ = 0;
  bool connected_ = false;
  TcpConnection client_, server_;
};

}  // namespace hawser::sim
