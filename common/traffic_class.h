// What kind of traffic a packet is: chosen by the classifier at the sender, carried in six bits of each data frame.
#pragma once

#include <cstdint>

namespace hawser {

enum class TrafficClass : uint8_t {
  bulk = 0,         // downloads: any path whose arrival is within the receiver's budget
  interactive = 1,  // sparse or small flows: the lowest delay, never behind bulk
  realtime = 2,     // calls and games: the lowest delay, duplicated when links are lossy
};

// The six class bits of a data frame: bits 0-2 TrafficClass, bit 3 "deliver at once, order does not matter",
// bits 4-5 reserved, sent as zero and ignored.
struct PacketClass {
  TrafficClass traffic = TrafficClass::bulk;
  bool unordered = false;

  uint8_t bits() const { return static_cast<uint8_t>(static_cast<uint8_t>(traffic) | (unordered ? 8 : 0)); }
  static PacketClass from_bits(uint8_t b) {
    const uint8_t t = b & 7;
    return {t <= 2 ? static_cast<TrafficClass>(t) : TrafficClass::bulk, (b & 8) != 0};
  }
  bool operator==(const PacketClass&) const = default;
};

}  // namespace hawser
