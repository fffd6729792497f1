// hawser-probe: measures a network from both ends; every result is one line of JSON.
#include <stdio.h>

#include <CLI/CLI.hpp>

#include "tests/netlab/emulator/priority.h"
#include "tests/netlab/probe/tcp.h"
#include "tests/netlab/probe/udp.h"

namespace {

using hawser::netlab::TcpOptions;
using hawser::netlab::UdpOptions;

void add_peer(CLI::App* mode, std::string& address, uint16_t& port) {
  mode->add_option("address", address, "numeric IPv4 or IPv6 address")->required();
  mode->add_option("port", port)->required();
}

void add_sending(CLI::App* mode, UdpOptions& options) {
  add_peer(mode, options.address, options.port);
  mode->add_option("--rate", options.rate, "packets per second");
  mode->add_option("--bits", options.bits, "bit/s of Ethernet frames, instead of --rate");
  mode->add_option("--size", options.size, "UDP payload in bytes")->check(CLI::Range(24, 65000));
  mode->add_option("--seconds", options.seconds);
  mode->add_option("--device", options.device, "bind to this interface");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Measures a network: loss, delay, outages, goodput, stalls."};
  app.require_subcommand(1);

  UdpOptions udp;
  CLI::App* send = app.add_subcommand("send", "send numbered UDP packets");
  add_sending(send, udp);
  CLI::App* receive = app.add_subcommand("receive", "receive them; one-way delay, loss, order, rate");
  CLI::App* echo = app.add_subcommand("echo", "return UDP packets to their sender");
  for (CLI::App* mode : {receive, echo}) {
    mode->add_option("port", udp.port)->required();
    mode->add_option("--address", udp.address, "listen on this address only");
  }
  receive->add_option("--seconds", udp.seconds, "at most this long");
  receive->add_option("--idle", udp.idle_seconds, "seconds of silence that end it, once something came");
  receive->add_option("--trace", udp.trace, "file: sequence, sent at (s), delay (ms)");
  CLI::App* ping = app.add_subcommand("ping", "ask an echo; round trip, loss, outage");
  add_sending(ping, udp);
  ping->add_option("--idle", udp.idle_seconds, "seconds to wait for the last answers");
  ping->add_option("--trace", udp.trace, "file: sequence, sent at (s), round trip (ms; -1 is lost)");

  TcpOptions tcp;
  CLI::App* serve = app.add_subcommand("tcp-serve", "the other end of `tcp`");
  serve->add_option("port", tcp.port)->required();
  serve->add_option("--address", tcp.address, "listen on this address only");
  CLI::App* run = app.add_subcommand("tcp", "transfer as fast as TCP can; goodput and stalls");
  add_peer(run, tcp.address, tcp.port);
  run->add_flag("--up", tcp.upload, "send instead of receive");
  run->add_option("--seconds", tcp.seconds);
  run->add_option("--skip", tcp.skip_seconds, "seconds at the start that do not count");
  run->add_option("--streams", tcp.streams)->check(CLI::Range(1, 256));
  run->add_option("--congestion", tcp.congestion, "congestion control of both ends");
  run->add_option("--device", tcp.device, "bind to this interface");
  run->add_option("--trace", tcp.trace, "file: time (s), bit/s per 100 ms");

  CLI11_PARSE(app, argc, argv);
  // The UDP modes are clocks; TCP transfers compete for the processor like any program.
  if (*send || *receive || *echo || *ping) hawser::netlab::schedule_first(1);
  hawser::Status status = *send      ? udp_send(udp)
                          : *receive ? udp_receive(udp)
                          : *echo    ? udp_echo(udp)
                          : *ping    ? udp_ping(udp)
                          : *serve   ? tcp_serve(tcp)
                                     : tcp_run(tcp);
  if (status) return 0;
  fprintf(stderr, "hawser-probe: %s\n", status.error().message.c_str());
  return static_cast<int>(status.error().code);
}
