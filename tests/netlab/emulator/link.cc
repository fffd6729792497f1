// Moves frames between packet sockets and the link model.
#include "tests/netlab/emulator/link.h"

#include <linux/if_ether.h>

#include <algorithm>
#include <charconv>

namespace hawser::netlab {
namespace {

// Frames carry the kernel's arrival time, so they may be read late, but before they can be due: half of the delay.
constexpr Duration kLongestReadDelay = Duration::millis(1);
constexpr Duration kShortestReadDelay = Duration::micros(50);
constexpr Duration kTryAgain = Duration::micros(150);  // as long as sending a batch takes
constexpr size_t kSlotBytes = 9216 + 64;               // jumbo frames; untouched pages of a slot cost nothing
constexpr size_t kMostFrames = 256 * 1024;             // of one direction

std::vector<std::string> fields_of(const std::string& text) {
  std::vector<std::string> fields;
  size_t at = 0;
  while ((at = text.find_first_not_of(", \t", at)) != std::string::npos) {
    size_t end = std::min(text.find_first_of(", \t", at), text.size());
    fields.push_back(text.substr(at, end - at));
    at = end;
  }
  return fields;
}

// So that links of one run differ although their seeds are the same.
uint64_t mixed_seed(uint64_t seed, const std::string& name, bool down) {
  uint64_t hash = 0xcbf29ce484222325u ^ seed;
  for (char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return hash * 2 + (down ? 1 : 0);
}

}  // namespace

Result<LinkSpec> parse_link(const std::string& text) {
  std::vector<std::string> fields = fields_of(text);
  if (fields.size() < 3) return Error{ExitCode::usage, "link \"" + text + "\" is not NAME,IFA,IFB[,key=value...]"};
  LinkSpec spec{fields[0], fields[1], fields[2], {}, 1};
  for (size_t i = 3; i < fields.size(); ++i) {
    if (fields[i].rfind("seed=", 0) == 0) {
      const char* end = fields[i].data() + fields[i].size();
      auto parsed = std::from_chars(fields[i].data() + 5, end, spec.seed);
      if (parsed.ec != std::errc{} || parsed.ptr != end) return Error{ExitCode::usage, fields[i] + " is not a number"};
      continue;
    }
    Status status = parse_setting(spec.settings, Which::both, fields[i]);
    if (!status) return Error{ExitCode::usage, "link " + spec.name + ": " + status.error().message};
  }
  return spec;
}

Link::Half::Half(PacketSocket* in, PacketSocket* out, const DirectionSettings& settings, uint64_t seed)
    : from(in), to(out), pool(kSlotBytes, kMostFrames), model(pool, settings, seed) {}

Link::Link(LinkSpec spec, PacketSocket a, PacketSocket b)
    : spec_(std::move(spec)),
      a_(std::move(a)),
      b_(std::move(b)),
      halves_{Half(&a_, &b_, spec_.settings.up, mixed_seed(spec_.seed, spec_.name, false)),
              Half(&b_, &a_, spec_.settings.down, mixed_seed(spec_.seed, spec_.name, true))} {}

Result<std::unique_ptr<Link>> Link::open(const LinkSpec& spec) {
  auto a = PacketSocket::open(spec.a);
  if (!a) return a.error();
  auto b = PacketSocket::open(spec.b);
  if (!b) return b.error();
  for (const PacketSocket* socket : {&*a, &*b}) {
    if (socket->mtu() + ETH_HLEN > kSlotBytes) {
      return Error{ExitCode::usage, "link " + spec.name + ": MTU " + std::to_string(socket->mtu()) + " is too large"};
    }
  }
  return std::unique_ptr<Link>(new Link(spec, std::move(*a), std::move(*b)));
}

// True when more frames may wait.
bool Link::read(Half& half) {
  half.received.clear();
  bool full = false;
  half.from->receive(half.pool, half.received, full);
  for (const ReceivedFrame& frame : half.received) {
    Counters& counters = half.model.counters();
    if (frame.bytes > half.from->mtu() + ETH_HLEN || frame.checksum_missing) {
      ++(frame.checksum_missing ? counters.drop_offload : counters.drop_oversize);
      half.pool.release(frame.slot);
      continue;
    }
    // Stamps of two processors may cross by microseconds; the model wants them in order.
    half.last_arrival = std::max(half.last_arrival, frame.arrival);
    half.model.arrive(frame.slot, frame.bytes, half.last_arrival);
  }
  return full;
}

void Link::send_due(Half& half, Time now) {
  half.model.advance(now);
  Counters& counters = half.model.counters();
  while (true) {
    std::array<Departure, PacketSocket::kBatch> batch;
    std::array<OutgoingFrame, PacketSocket::kBatch> frames;
    size_t count = 0;
    while (count < batch.size()) {
      auto departure = half.model.pop_due(now + kEarly);
      if (!departure) break;
      batch[count] = *departure;
      frames[count++] = {half.pool.data(departure->slot), departure->bytes};
    }
    if (count == 0) return;
    size_t refused = half.to->send({frames.data(), count});
    now = monotonic_now();
    for (size_t i = 0; i < count; ++i) {
      counters.lateness.add(now - batch[i].due);
      counters.out_bytes += batch[i].bytes;
      half.pool.release(batch[i].slot);
    }
    counters.out_packets += count - refused;
    counters.drop_send += refused;
  }
}

Link::Wish Link::run(size_t direction, bool readable, Time now) {
  Half& half = halves_[direction];
  std::unique_lock lock(half.running, std::try_to_lock);
  if (!lock) return {now + kTryAgain, -1};
  bool planned = half.read_at.is_set() && half.read_at <= now;
  if (readable || planned) {
    // A few batches at most: others wait for their due times too.
    bool any = false;
    for (int i = 0; i < 4; ++i) {
      bool full = read(half);
      any = any || !half.received.empty();
      if (!full) break;
    }
    const DirectionSettings& settings = half.model.settings();
    Duration pause = std::min(kLongestReadDelay, settings.delay / 2);
    half.read_at = any && pause >= kShortestReadDelay ? now + pause : Time{};
  }
  send_due(half, now);
  Time wake = half.model.next_due();
  if (half.read_at.is_set()) wake = std::min(wake, half.read_at);
  half.wake.store(wake);
  return {wake, half.read_at.is_set() ? -1 : half.from->fd()};
}

void Link::catch_up(Time now) {
  for (Half& half : halves_) {
    while (read(half)) continue;
    half.model.advance(now);
  }
}

void Link::set(const LinkSettings& settings, Time now) {
  up().set(settings.up, now);
  down().set(settings.down, now);
}

void Link::reset_counters() {
  collect_overruns();
  up().counters() = Counters{};
  down().counters() = Counters{};
}

void Link::collect_overruns() {
  up().counters().drop_overrun += a_.take_overruns();
  down().counters().drop_overrun += b_.take_overruns();
}

}  // namespace hawser::netlab
