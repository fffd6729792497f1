// One emulated link: two interfaces and the two directions between them.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "tests/netlab/emulator/direction.h"
#include "tests/netlab/emulator/packet_socket.h"

namespace hawser::netlab {

// As written on the command line: NAME,IFA,IFB[,key=value...].
struct LinkSpec {
  std::string name;
  std::string a;  // the client's side
  std::string b;
  LinkSettings settings;
  uint64_t seed = 1;
};

// `text` has its fields separated by commas or blanks; "seed=N" is a key of its own.
Result<LinkSpec> parse_link(const std::string& text);

class Link {
 public:
  // Wakes at most once per frame and sends at most this much early.
  static constexpr Duration kEarly = Duration::micros(30);

  static Result<std::unique_ptr<Link>> open(const LinkSpec& spec, FramePool& pool);

  // Reads what `readable` says or what is due to be read, sends what is due; returns when it wants to be called again.
  Time run(bool a_readable, bool b_readable, Time now);
  // Reads everything that arrived before `now`, so that a change of settings takes effect at exactly this moment.
  void catch_up(Time now);
  // What to poll for reading; -1 while reading is put off to a later run().
  int poll_fd_a() const { return up_.read_at.is_set() ? -1 : up_.from->fd(); }
  int poll_fd_b() const { return down_.read_at.is_set() ? -1 : down_.from->fd(); }

  const LinkSpec& spec() const { return spec_; }
  Direction& up() { return up_.model; }
  Direction& down() { return down_.model; }
  void set(const LinkSettings& settings, Time now);
  LinkSettings settings() const { return {up_.model.settings(), down_.model.settings()}; }
  void reset_counters();
  void collect_overruns();
  const std::string& granted() const { return a_.granted(); }

 private:
  struct Half {
    PacketSocket* from;
    PacketSocket* to;
    Direction model;
    Time read_at{};  // set: frames are coming in, read again then instead of waking for each
    Time last_arrival{};
  };

  Link(LinkSpec spec, PacketSocket a, PacketSocket b, FramePool& pool);
  bool read(Half& half);
  void send_due(Half& half, Time now);
  Time run_half(Half& half, bool readable, Time now);

  LinkSpec spec_;
  FramePool& pool_;
  PacketSocket a_;
  PacketSocket b_;
  Half up_;
  Half down_;
  std::vector<ReceivedFrame> received_;
};

}  // namespace hawser::netlab
