// Packets carry a magic number, a sequence number and the time they were sent, so that both ends need no agreement.
#include "tests/netlab/probe/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <vector>

#include "tests/netlab/probe/measure.h"

namespace hawser::netlab {
namespace {

constexpr uint64_t kMagic = 0x6861777365722d70;  // "hawser-p"

struct Stamp {
  uint64_t magic = kMagic;
  uint64_t sequence = 0;
  int64_t sent_ns = 0;
};
static_assert(sizeof(Stamp) == 24);

// Ethernet, IP and UDP headers.
uint32_t frame_overhead(int family) {
  return 14 + 8 + (family == AF_INET ? 20 : 40);
}

// An IPv6 socket sees IPv4 senders as mapped addresses.
int family_on_wire(const Endpoint& from) {
  sockaddr_in6 address{};
  memcpy(&address, &from.storage, sizeof address);
  return from.family() == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&address.sin6_addr) ? AF_INET6 : AF_INET;
}

std::optional<Stamp> read_stamp(const std::vector<uint8_t>& buffer, ssize_t bytes) {
  Stamp stamp;
  if (bytes < static_cast<ssize_t>(sizeof stamp)) return std::nullopt;
  memcpy(&stamp, buffer.data(), sizeof stamp);
  return stamp.magic == kMagic ? std::optional(stamp) : std::nullopt;
}

// Sends on an absolute schedule: a late wake-up delays one packet, never the rate.
class Schedule {
 public:
  Schedule(const UdpOptions& options, int family) : start_(wall_now()) {
    double bits_per_packet = 8.0 * (options.size + frame_overhead(family));
    double rate = options.bits > 0 ? options.bits / bits_per_packet : options.rate;
    interval_s_ = 1 / rate;
    total_ = static_cast<uint64_t>(options.seconds * rate + 0.5);
  }
  bool done() const { return next_ >= total_; }
  Time next_time() const { return start_ + Duration::from_seconds(static_cast<double>(next_) * interval_s_); }
  uint64_t take() { return next_++; }
  Time start() const { return start_; }
  uint64_t total() const { return total_; }

 private:
  Time start_;
  double interval_s_ = 0;
  uint64_t total_ = 0;
  uint64_t next_ = 0;
};

// A link that is down refuses packets; for a measurement they are lost like any other.
void send_one(int fd, const Endpoint& to, std::vector<uint8_t>& packet, uint64_t sequence, Time now) {
  Stamp stamp{kMagic, sequence, now.ns};
  memcpy(packet.data(), &stamp, sizeof stamp);
  [[maybe_unused]] ssize_t n = sendto(fd, packet.data(), packet.size(), MSG_DONTWAIT, to.get(), to.length);
}

using File = std::unique_ptr<FILE, int (*)(FILE*)>;

Result<File> open_trace(const std::string& path) {
  File file(path.empty() ? nullptr : fopen(path.c_str(), "w"), fclose);
  if (!path.empty() && !file) return Error{ExitCode::unexpected, path + ": cannot write: " + strerror(errno)};
  return file;
}

Result<Socket> bound_socket(const UdpOptions& options) {
  auto local = endpoint(options.address, options.port);
  if (!local) return local.error();
  auto socket = udp_socket(local->family(), options.device);
  if (!socket) return socket.error();
  if (bind(socket->fd(), local->get(), local->length) < 0) {
    return Error{ExitCode::system_integration, "UDP port " + std::to_string(options.port) + ": " + strerror(errno)};
  }
  return socket;
}

void print(const JsonLine& line) {
  printf("%s\n", line.text().c_str());
  fflush(stdout);
}

// What came, by sequence number.
struct Arrivals {
  std::vector<bool> seen;
  uint64_t received = 0, reordered = 0, duplicates = 0, highest = 0;

  void add(uint64_t sequence) {
    if (sequence >= seen.size()) seen.resize(sequence + 1);
    if (seen[sequence]) {
      ++duplicates;
      return;
    }
    seen[sequence] = true;
    if (received > 0 && sequence < highest) ++reordered;
    highest = std::max(highest, sequence);
    ++received;
  }
};

}  // namespace

Status udp_send(const UdpOptions& options) {
  auto to = endpoint(options.address, options.port);
  if (!to) return to.error();
  auto socket = udp_socket(to->family(), options.device);
  if (!socket) return socket.error();
  std::vector<uint8_t> packet(options.size);
  Schedule schedule(options, to->family());
  while (!schedule.done()) {
    sleep_until(schedule.next_time());
    send_one(socket->fd(), *to, packet, schedule.take(), wall_now());
  }
  print(JsonLine().add("sent", static_cast<double>(schedule.total())));
  return Done{};
}

Status udp_receive(const UdpOptions& options) {
  auto socket = bound_socket(options);
  if (!socket) return socket.error();
  auto trace = open_trace(options.trace);
  if (!trace) return trace.error();
  std::vector<uint8_t> buffer(65536);
  std::vector<Duration> delays;
  Arrivals arrivals;
  Time first, last;
  Duration longest_gap;
  double frame_bits = 0;
  const Time deadline = wall_now() + Duration::from_seconds(options.seconds);
  while (true) {
    Time now = wall_now();
    Duration wait = deadline - now;
    if (arrivals.received > 0) wait = std::min(wait, last + Duration::from_seconds(options.idle_seconds) - now);
    if (wait.ns <= 0) break;
    Time arrival;
    Endpoint from;
    ssize_t n = receive_stamped(socket->fd(), buffer.data(), buffer.size(), wait, arrival, &from);
    auto stamp = read_stamp(buffer, n);
    if (!stamp) continue;
    // The first packet only opens the interval over which the rate is taken.
    if (first.is_set()) {
      frame_bits += 8.0 * static_cast<double>(n + frame_overhead(family_on_wire(from)));
      longest_gap = std::max(longest_gap, arrival - last);
    } else {
      first = arrival;
    }
    last = arrival;
    arrivals.add(stamp->sequence);
    delays.push_back(arrival - Time{stamp->sent_ns});
    if (*trace) {
      fprintf(trace->get(), "%llu %.6f %.4f\n", static_cast<unsigned long long>(stamp->sequence),
              (Time{stamp->sent_ns} - first).to_seconds(), delays.back().to_millis());
    }
  }
  // Losses after the last arrival are not seen here; compare with the sender's count.
  double expected = arrivals.received > 0 ? static_cast<double>(arrivals.highest + 1) : 0;
  double span = (last - first).to_seconds();
  print(JsonLine()
            .add("received", static_cast<double>(arrivals.received))
            .add("lost", expected - static_cast<double>(arrivals.received))
            .add("reordered", static_cast<double>(arrivals.reordered))
            .add("duplicates", static_cast<double>(arrivals.duplicates))
            .add("frame_bps", span > 0 ? frame_bits / span : 0)
            .add("longest_gap_ms", longest_gap.to_millis(), 3)
            .add_raw("delay_ms", json_milliseconds(delays)));
  return Done{};
}

Status udp_echo(const UdpOptions& options) {
  auto socket = bound_socket(options);
  if (!socket) return socket.error();
  std::vector<uint8_t> buffer(65536);
  while (true) {
    Endpoint from;
    from.length = sizeof from.storage;
    ssize_t n = recvfrom(socket->fd(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from.storage),
                         &from.length);
    if (n >= 0) sendto(socket->fd(), buffer.data(), static_cast<size_t>(n), MSG_DONTWAIT, from.get(), from.length);
  }
}

namespace {

// One entry per packet sent: its send time, and its round trip once answered.
struct Asked {
  Time sent;
  std::optional<Duration> round_trip;
};

Status report_ping(const UdpOptions& options, std::vector<Asked>& asked, Time start) {
  auto trace = open_trace(options.trace);
  if (!trace) return trace.error();
  std::vector<Duration> round_trips;
  Duration outage;
  Time outage_start = start, last_good = start;
  uint64_t lost_in_row = 0, most_lost_in_row = 0;
  for (size_t i = 0; i < asked.size(); ++i) {
    const Asked& one = asked[i];
    if (*trace) {
      fprintf(trace->get(), "%zu %.6f %.4f\n", i, (one.sent - start).to_seconds(),
              one.round_trip ? one.round_trip->to_millis() : -1.0);
    }
    if (!one.round_trip) {
      most_lost_in_row = std::max(most_lost_in_row, ++lost_in_row);
      continue;
    }
    lost_in_row = 0;
    round_trips.push_back(*one.round_trip);
    if (one.sent - last_good > outage) {
      outage = one.sent - last_good;
      outage_start = last_good;
    }
    last_good = one.sent;
  }
  if (!asked.empty() && asked.back().sent - last_good > outage) {
    outage = asked.back().sent - last_good;
    outage_start = last_good;
  }
  double sent = static_cast<double>(asked.size()), received = static_cast<double>(round_trips.size());
  print(JsonLine()
            .add("sent", sent)
            .add("received", received)
            .add("lost", sent - received)
            .add("most_lost_in_a_row", static_cast<double>(most_lost_in_row))
            .add("outage_ms", outage.to_millis(), 3)
            .add("outage_at_s", (outage_start - start).to_seconds(), 3)
            .add_raw("round_trip_ms", json_milliseconds(round_trips)));
  return Done{};
}

}  // namespace

Status udp_ping(const UdpOptions& options) {
  auto to = endpoint(options.address, options.port);
  if (!to) return to.error();
  auto socket = udp_socket(to->family(), options.device);
  if (!socket) return socket.error();
  std::vector<uint8_t> packet(options.size), buffer(65536);
  Schedule schedule(options, to->family());
  std::vector<Asked> asked;
  asked.reserve(schedule.total());
  std::optional<Time> listening_until;
  while (!listening_until || (wall_now() < *listening_until)) {
    Time now = wall_now();
    if (!schedule.done() && now >= schedule.next_time()) {
      send_one(socket->fd(), *to, packet, schedule.take(), now);
      asked.push_back({now, std::nullopt});
      continue;
    }
    if (schedule.done() && !listening_until) listening_until = now + Duration::from_seconds(options.idle_seconds);
    Duration wait = (schedule.done() ? *listening_until : schedule.next_time()) - now;
    Time arrival;
    ssize_t n = receive_stamped(socket->fd(), buffer.data(), buffer.size(), wait, arrival, nullptr);
    auto stamp = read_stamp(buffer, n);
    if (!stamp || stamp->sequence >= asked.size()) continue;
    Asked& one = asked[stamp->sequence];
    if (!one.round_trip) one.round_trip = arrival - one.sent;
  }
  return report_ping(options, asked, schedule.start());
}

}  // namespace hawser::netlab
