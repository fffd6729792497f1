// What the wire's tests and fuzz targets share: hex, frames as text, frames of every type, seeded dice, the vector
// file.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/wire/frame.h"

namespace hawser::wire::test {

using Bytes = std::vector<uint8_t>;

inline std::string to_hex(ByteSpan bytes) {
  static const char* digits = "0123456789abcdef";
  std::string s;
  for (uint8_t b : bytes) {
    s += digits[b >> 4];
    s += digits[b & 15];
  }
  return s;
}

// Spaces between bytes are for the reader's eye.
inline Bytes from_hex(std::string hex) {
  hex.erase(std::remove(hex.begin(), hex.end(), ' '), hex.end());
  if (hex.size() % 2 != 0 || hex.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw std::runtime_error("not hex: " + hex);
  }
  Bytes out;
  for (size_t i = 0; i < hex.size(); i += 2) {
    out.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return out;
}

// A frame in words: two frames are equal when their texts are, and a failed comparison shows where they differ.
inline std::string describe(const Frame& frame) {
  struct Describer {
    std::ostringstream s;
    void lane(const char* type, LaneId l, PacketClass c, uint32_t seq) {
      s << type << " lane=" << l.value << " class=" << int(c.bits()) << " seq=" << seq;
    }
    void operator()(const DataFrame& f) {
      lane("DATA", f.lane, f.packet_class, f.seq24);
      s << " payload=" << to_hex(f.payload);
    }
    void operator()(const FragmentFrame& f) {
      lane("FRAGMENT", f.lane, f.packet_class, f.seq24);
      s << " offset=" << f.offset << " last=" << f.last << " payload=" << to_hex(f.payload);
    }
    void operator()(const AckFrame& f) {
      s << "ACK path=" << f.path.value << " delay_us=" << f.ack_delay.to_micros()
        << " received_us=" << f.largest_received_at.ns / 1000 << " ect0=" << f.ecn.ect0 << " ect1=" << f.ecn.ect1
        << " ce=" << f.ecn.ce << " ranges=";
      for (size_t i = 0; i < f.range_count; ++i) {
        s << (i ? "," : "") << f.ranges[i].last.value << "-" << f.ranges[i].first.value;
      }
    }
    void operator()(const PingFrame&) { s << "PING"; }
    void operator()(const PathChallengeFrame& f) { s << "PATH_CHALLENGE data=" << to_hex(f.data); }
    void operator()(const PathResponseFrame& f) { s << "PATH_RESPONSE data=" << to_hex(f.data); }
    void operator()(const ObservedAddressFrame& f) { s << "OBSERVED_ADDRESS " << f.address.to_string(); }
    void operator()(const PathStatusFrame& f) {
      s << "PATH_STATUS path=" << f.path.value << " sequence=" << f.sequence << " intent=" << int(f.intent)
        << " priority=" << int(f.priority) << " cap_kbits=" << static_cast<uint64_t>(f.rate_cap.bps / 1000);
    }
    void operator()(const PolicyFrame& f) {
      s << "POLICY sequence=" << f.sequence << " mode=" << int(f.mode) << " scheduler=" << int(f.scheduler)
        << " congestion=" << int(f.congestion) << " rules=";
      for (size_t i = 0; i < f.rule_count; ++i) {
        const ClassRule& r = f.rules[i];
        s << (i ? "," : "") << int(r.protocol) << ":" << r.port_low << "-" << r.port_high << ":" << int(r.policy);
        if (r.policy == RulePolicy::pin) s << ":" << r.pin.value;
      }
    }
    void operator()(const ControlAckFrame& f) {
      if (f.policy) {
        s << "CONTROL_ACK policy";
      } else {
        s << "CONTROL_ACK path=" << f.path.value;
      }
      s << " sequence=" << f.sequence;
    }
    void operator()(const PathCloseFrame& f) { s << "PATH_CLOSE path=" << f.path.value << " reason=" << int(f.reason); }
    void operator()(const CloseFrame& f) { s << "CLOSE reason=" << int(f.reason); }
    void operator()(const GaveUpFrame& f) {
      s << "GAVE_UP lane=" << f.lane.value << " first=" << f.first_seq24 << " count=" << f.count;
    }
    void operator()(const AnnounceFrame& f) {
      s << "ANNOUNCE endpoints=";
      for (size_t i = 0; i < f.count; ++i) s << (i ? "," : "") << f.endpoints[i].to_string();
    }
  };
  Describer d;
  std::visit([&](const auto& f) { d(f); }, frame);
  return d.s.str();
}

// The one way from any Frame to its writer; data frames go out without a length.
inline bool write_any(FrameWriter& w, const Frame& frame, bool sized = false) {
  return std::visit(
      [&](const auto& f) {
        if constexpr (std::is_same_v<decltype(f), const DataFrame&>) {
          return sized ? w.data_sized(f) : w.data(f);
        } else {
          return w.write(f);
        }
      },
      frame);
}

inline Bytes encode_frame(const Frame& frame, bool sized = false) {
  Bytes buffer(70'000);
  FrameWriter w{MutableByteSpan(buffer)};
  if (!write_any(w, frame, sized)) return {};
  buffer.resize(w.size());
  return buffer;
}

// Seeded dice. HAWSER_SEED replays a run; tests CAPTURE the seed.
class Dice {
 public:
  static uint64_t seed_from_environment() {
    if (const char* s = std::getenv("HAWSER_SEED")) return std::strtoull(s, nullptr, 0);
    return std::random_device{}();
  }
  explicit Dice(uint64_t seed) : engine_(seed) {}

  uint64_t below(uint64_t bound) { return std::uniform_int_distribution<uint64_t>(0, bound - 1)(engine_); }
  bool coin() { return below(2) == 1; }
  // Up to `bits` bits, every magnitude equally likely: finds the borders of variable-length fields.
  uint64_t magnitude(unsigned bits) {
    const uint64_t width = below(bits + 1);
    return width == 0 ? 0 : engine_() >> (64 - width);
  }
  Bytes bytes(size_t count) {
    Bytes b(count);
    for (uint8_t& x : b) x = static_cast<uint8_t>(engine_());
    return b;
  }
  SocketAddress address() {
    SocketAddress a;
    const Bytes octets = bytes(16);
    a.ip = coin() ? IpAddress::v4(ByteSpan(octets)) : IpAddress::v6(ByteSpan(octets));
    a.port = static_cast<uint16_t>(below(65'536));
    return a;
  }

 private:
  std::mt19937_64 engine_;
};

// Random frames of every type; payloads live in the maker.
class FrameMaker {
 public:
  static constexpr size_t kTypes = std::variant_size_v<Frame>;
  explicit FrameMaker(Dice& dice) : dice_(dice) {}

  // A frame of the variant's `index`th type. The spans in it are valid until the next call.
  Frame make(size_t index) {
    switch (index) {
      case 0:
        return DataFrame{lane(), packet_class(), seq24(), payload()};
      case 1: {
        const bool last = dice_.coin();
        return FragmentFrame{lane(), packet_class(), seq24(), static_cast<uint16_t>(last ? 1 + dice_.below(32'767) : 0),
                             last,   payload()};
      }
      case 2:
        return ack();
      case 3:
        return PingFrame{};
      case 4:
        return PathChallengeFrame{eight()};
      case 5:
        return PathResponseFrame{eight()};
      case 6:
        return ObservedAddressFrame{dice_.address()};
      case 7:
        return PathStatusFrame{path(), dice_.magnitude(62), static_cast<PathIntent>(dice_.below(5)),
                               static_cast<PathPriority>(dice_.below(5)),
                               BitRate{static_cast<double>(dice_.magnitude(32)) * 1000}};
      case 8:
        return policy();
      case 9: {
        ControlAckFrame f{dice_.coin(), path(), dice_.magnitude(62)};
        if (f.policy) f.path = {};
        return f;
      }
      case 10:
        return PathCloseFrame{path(), static_cast<uint8_t>(dice_.below(256))};
      case 11:
        return CloseFrame{static_cast<CloseReason>(dice_.below(8))};
      case 12:
        return GaveUpFrame{lane(), seq24(), static_cast<uint16_t>(1 + dice_.below(kMaxGaveUp))};
      default:
        break;
    }
    AnnounceFrame f;
    f.count = 1 + dice_.below(f.endpoints.size());
    for (size_t i = 0; i < f.count; ++i) f.endpoints[i] = dice_.address();
    return f;
  }

 private:
  LaneId lane() { return LaneId{static_cast<uint16_t>(dice_.below(1024))}; }
  PacketClass packet_class() { return {static_cast<TrafficClass>(dice_.below(3)), dice_.coin()}; }
  uint32_t seq24() { return static_cast<uint32_t>(dice_.magnitude(24)); }
  PathId path() { return PathId{static_cast<uint32_t>(dice_.magnitude(32))}; }
  ByteSpan payload() {
    payload_ = dice_.bytes(1 + dice_.below(1'500));
    return payload_;
  }
  std::array<uint8_t, 8> eight() {
    std::array<uint8_t, 8> a;
    for (uint8_t& x : a) x = static_cast<uint8_t>(dice_.below(256));
    return a;
  }
  AckFrame ack() {
    AckFrame f;
    f.path = path();
    f.ack_delay = Duration::micros(static_cast<int64_t>(dice_.magnitude(51)));
    f.largest_received_at = Time{static_cast<int64_t>(dice_.magnitude(51)) * 1000};
    f.ecn = {dice_.magnitude(62), dice_.magnitude(62), dice_.magnitude(62)};
    uint64_t next = dice_.magnitude(62);
    for (const size_t wanted = 1 + dice_.below(kMaxAckRanges); f.range_count < wanted; ++f.range_count) {
      const uint64_t length = std::min<uint64_t>(dice_.magnitude(20), next);
      f.ranges[f.range_count] = {PacketNumber{next - length}, PacketNumber{next}};
      const uint64_t below = next - length;
      const uint64_t gap = 2 + dice_.magnitude(20);
      if (below < gap) {
        ++f.range_count;
        break;
      }
      next = below - gap;
    }
    return f;
  }
  PolicyFrame policy() {
    PolicyFrame f;
    f.sequence = dice_.magnitude(62);
    f.mode = static_cast<Mode>(dice_.below(4));
    f.scheduler = static_cast<SchedulerKind>(dice_.below(9));
    f.congestion = static_cast<CongestionKind>(dice_.below(7));
    f.rule_count = dice_.below(kMaxClassRules + 1);
    for (size_t i = 0; i < f.rule_count; ++i) {
      ClassRule& r = f.rules[i];
      r.protocol = static_cast<uint8_t>(dice_.below(256));
      r.port_low = static_cast<uint16_t>(dice_.magnitude(16));
      r.port_high = static_cast<uint16_t>(r.port_low + dice_.below(65'536u - r.port_low));
      r.policy = static_cast<RulePolicy>(dice_.below(4));
      if (r.policy == RulePolicy::pin) r.pin = path();
    }
    return f;
  }

  Dice& dice_;
  Bytes payload_;
};

// common/wire/vectors.txt: "name value" a line, '#' comments; a name given again continues its value.
inline std::map<std::string, std::string> read_vectors(const std::string& path) {
  std::map<std::string, std::string> vectors;
  std::ifstream in(path);
  if (!in) throw std::runtime_error("cannot read " + path);
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t space = line.find(' ');
    if (space == std::string::npos) throw std::runtime_error("no value: " + line);
    vectors[line.substr(0, space)] += line.substr(line.find_first_not_of(' ', space));
  }
  return vectors;
}

// The project's folder, from where this header was compiled.
inline std::string project_root() {
  const std::string here = __FILE__;
  return here.substr(0, here.rfind("/tests/unit/wire/"));
}

}  // namespace hawser::wire::test
