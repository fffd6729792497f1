// One emulated link: two interfaces and the two directions between them.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <mutex>
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
  // A frame leaves at most this much early.
  static constexpr Duration kEarly = Duration::micros(30);
  // Its directions, by index.
  static constexpr size_t kUp = 0, kDown = 1, kDirections = 2;

  // When a direction wants to be run again, and what to poll for reading until then (-1: nothing).
  struct Wish {
    Time wake;
    int fd;
  };

  static Result<std::unique_ptr<Link>> open(const LinkSpec& spec);

  // Reads what `readable` says or what is due to be read, sends what is due. Two threads may call it: while one is at a direction
  // the other leaves that alone and wishes for another try soon. Everything else is for one thread, without run() beside it.
  Wish run(size_t direction, bool readable, Time now);
  // When run() is wanted next, by the last run of each direction; any thread.
  Time wake() const { return std::min(halves_[kUp].wake.load(), halves_[kDown].wake.load()); }
  // Reads everything that arrived before `now`, so that a change of settings takes effect at exactly this moment.
  void catch_up(Time now);

  const LinkSpec& spec() const { return spec_; }
  Direction& up() { return halves_[kUp].model; }
  Direction& down() { return halves_[kDown].model; }
  void set(const LinkSettings& settings, Time now);
  LinkSettings settings() const { return {halves_[kUp].model.settings(), halves_[kDown].model.settings()}; }
  void reset_counters();
  void collect_overruns();
  const std::string& granted() const { return a_.granted(); }

 private:
  struct Half {
    Half(PacketSocket* in, PacketSocket* out, const DirectionSettings& settings, uint64_t seed);

    PacketSocket* from;
    PacketSocket* to;
    FramePool pool;
    Direction model;
    std::mutex running;
    std::atomic<Time> wake{Time::infinite()};
    Time read_at{};  // set: frames are coming in, read again then instead of waking for each
    Time last_arrival{};
    std::vector<ReceivedFrame> received;
  };

  Link(LinkSpec spec, PacketSocket a, PacketSocket b);
  static bool read(Half& half);
  static void send_due(Half& half, Time now);

  LinkSpec spec_;
  PacketSocket a_;
  PacketSocket b_;
  std::array<Half, kDirections> halves_;
};

}  // namespace hawser::netlab
