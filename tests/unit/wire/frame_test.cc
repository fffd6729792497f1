// Frames: every type survives the round trip, limits hold on both sides, what is unknown is skipped or refused as
// specified.
#include "common/wire/frame.h"

#include <catch2/catch.hpp>

#include "common/wire/varint.h"
#include "tests/unit/wire/support.h"

namespace hawser::wire::test {
namespace {

using Next = FrameReader::Next;

std::vector<std::string> read_all(ByteSpan bytes, Next& how, bool* skipped = nullptr) {
  FrameReader reader(bytes);
  Frame frame;
  std::vector<std::string> out;
  while ((how = reader.next(frame)) == Next::frame) out.push_back(describe(frame));
  if (skipped) *skipped = reader.skipped_unknown();
  return out;
}

Next ends_as(const std::string& hex) {
  Next how;
  read_all(from_hex(hex), how);
  return how;
}

TEST_CASE("a random frame of every type survives the round trip") {
  const uint64_t seed = Dice::seed_from_environment();
  CAPTURE(seed);
  Dice dice(seed);
  FrameMaker maker(dice);
  for (int round = 0; round < 500; ++round) {
    for (size_t type = 0; type < FrameMaker::kTypes; ++type) {
      const Frame frame = maker.make(type);
      REQUIRE(frame.index() == type);
      for (bool sized : {false, true}) {
        const Bytes bytes = encode_frame(frame, sized);
        REQUIRE_FALSE(bytes.empty());
        Next how;
        const auto read = read_all(bytes, how);
        REQUIRE(how == Next::end);
        REQUIRE(read.size() == 1);
        CHECK(read[0] == describe(frame));
      }
    }
  }
}

TEST_CASE("many frames share a datagram in order, padding between them") {
  const uint64_t seed = Dice::seed_from_environment();
  CAPTURE(seed);
  Dice dice(seed);
  for (int round = 0; round < 200; ++round) {
    FrameMaker maker(dice);
    Bytes buffer(40'000);
    FrameWriter w{MutableByteSpan(buffer)};
    std::vector<std::string> wrote;
    for (int i = 0; i < 12; ++i) {
      const Frame frame = maker.make(dice.below(FrameMaker::kTypes));
      REQUIRE(write_any(w, frame, true));
      wrote.push_back(describe(frame));
      REQUIRE(w.padding(dice.below(4)));
    }
    Next how;
    CHECK(read_all(w.written(), how) == wrote);
    CHECK(how == Next::end);
  }
}

TEST_CASE("a writer writes a frame whole or not at all") {
  Dice dice(7);
  FrameMaker maker(dice);
  for (size_t type = 0; type < FrameMaker::kTypes; ++type) {
    CAPTURE(type);
    Frame frame = maker.make(type);
    if (auto* ack = std::get_if<AckFrame>(&frame)) ack->range_count = 1;  // else it shrinks to fit: tested below
    const Bytes whole = encode_frame(frame);
    for (size_t room = 0; room < whole.size(); ++room) {
      Bytes buffer(room + 8, 0xee);
      FrameWriter w{MutableByteSpan(buffer).first(room)};
      REQUIRE_FALSE(write_any(w, frame));
      REQUIRE(w.size() == 0);
      REQUIRE(std::all_of(buffer.begin() + static_cast<std::ptrdiff_t>(room), buffer.end(),
                          [](uint8_t b) { return b == 0xee; }));
    }
    Bytes exact(whole.size());
    FrameWriter w{MutableByteSpan(exact)};
    REQUIRE(write_any(w, frame));
    CHECK(w.room() == 0);
    CHECK(exact == whole);
  }
}

TEST_CASE("an ack that does not fit loses its oldest ranges only") {
  AckFrame ack;
  ack.path = PathId{3};
  ack.range_count = kMaxAckRanges;
  for (size_t i = 0; i < kMaxAckRanges; ++i) {
    ack.ranges[i] = {PacketNumber{100'000 - i * 1000}, PacketNumber{100'500 - i * 1000}};
  }
  const size_t full = encode_frame(ack).size();
  size_t before = 0;
  for (size_t room = 0; room <= full; ++room) {
    Bytes buffer(room);
    FrameWriter w{MutableByteSpan(buffer)};
    if (!w.write(ack)) {
      REQUIRE(before == 0);
      continue;
    }
    FrameReader reader(w.written());
    Frame frame;
    REQUIRE(reader.next(frame) == Next::frame);
    const auto& read = std::get<AckFrame>(frame);
    REQUIRE(read.range_count >= std::max<size_t>(before, 1));
    before = read.range_count;
    CHECK(read.ranges[0].last == ack.ranges[0].last);
    CHECK(read.ranges[read.range_count - 1].first == ack.ranges[read.range_count - 1].first);
    REQUIRE(reader.next(frame) == Next::end);
  }
  CHECK(before == kMaxAckRanges);
}

TEST_CASE("every truncation of every frame is malformed, or shorter data; never more") {
  Dice dice(11);
  FrameMaker maker(dice);
  for (int round = 0; round < 20; ++round) {
    for (size_t type = 0; type < FrameMaker::kTypes; ++type) {
      const Frame frame = maker.make(type);
      for (bool sized : {false, true}) {
        const Bytes whole = encode_frame(frame, sized);
        const bool unsized = type == 0 && !sized;
        CAPTURE(type, sized, to_hex(whole));
        for (size_t length = 1; length < whole.size(); ++length) {
          // An own allocation of the exact size, so that the address sanitizer sees one byte too far.
          const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
          Next how;
          const auto frames = read_all(cut, how);
          if (unsized && length > kDataFrameHeader) {
            REQUIRE(how == Next::end);
            REQUIRE(frames.size() == 1);
          } else {
            REQUIRE(how == Next::malformed);
            REQUIRE(frames.empty());
          }
        }
      }
    }
  }
}

TEST_CASE("any bytes give frames, end or malformed, and stay there") {
  const uint64_t seed = Dice::seed_from_environment();
  CAPTURE(seed);
  Dice dice(seed);
  FrameMaker maker(dice);
  for (int round = 0; round < 20'000; ++round) {
    Bytes bytes;
    if (dice.coin()) {
      bytes = dice.bytes(dice.below(80));
      if (!bytes.empty()) bytes[0] &= 0x1f;
    } else {  // a real frame with some bytes changed goes deeper than noise
      bytes = encode_frame(maker.make(dice.below(FrameMaker::kTypes)), dice.coin());
      for (uint64_t flips = 1 + dice.below(3); flips > 0; --flips)
        bytes[dice.below(std::min<size_t>(bytes.size(), 40))] ^= static_cast<uint8_t>(1 + dice.below(255));
    }
    FrameReader reader{ByteSpan(bytes)};
    Frame frame;
    size_t count = 0;
    Next how;
    while ((how = reader.next(frame)) == Next::frame) REQUIRE(++count <= bytes.size());
    REQUIRE(reader.next(frame) == how);
    REQUIRE(reader.next(frame) == how);
  }
}

TEST_CASE("unknown types from 0x40 are skipped and noted; below they are malformed") {
  Next how;
  bool skipped = false;
  for (unsigned type = 0x40; type <= 0xff; ++type) {
    Bytes bytes{0x05, static_cast<uint8_t>(type), 0x00, 0x03, 1, 2, 3, 0x0d, 0x00};
    CHECK(read_all(bytes, how, &skipped) == std::vector<std::string>{"PING", "CLOSE reason=0"});
    CHECK(how == Next::end);
    CHECK(skipped);
    bytes.resize(6);  // cut inside the skipped frame
    read_all(bytes, how, &skipped);
    CHECK(how == Next::malformed);
    CHECK_FALSE(skipped);
  }
  for (unsigned type = 0x10; type < 0x40; ++type) {
    read_all(Bytes{static_cast<uint8_t>(type), 0, 0, 0, 0}, how, &skipped);
    CHECK(how == Next::malformed);
    CHECK_FALSE(skipped);
  }
  read_all(Bytes{0x05, 0x00, 0x05}, how, &skipped);
  CHECK_FALSE(skipped);
}

TEST_CASE("nothing and padding alone end without a frame") {
  CHECK(ends_as("") == Next::end);
  CHECK(ends_as("00") == Next::end);
  CHECK(ends_as("0000000000") == Next::end);
}

TEST_CASE("values that mean nothing are malformed") {
  const std::pair<const char*, const char*> cases[] = {
      {"data without a payload", "010000000000"},
      {"sized data of length zero", "02 0000 000000 0000 05"},
      {"sized data longer than the datagram", "02 0000 000000 0003 4500"},
      {"fragment of length zero", "03000000000000000000"},
      {"first fragment marked last", "0300000000008000000145"},
      {"second fragment not marked last", "0300000000000001000145"},
      {"ack of no range", "04010000000000 00"},
      {"ack range below zero", "04010000000000 01 05 06"},
      {"ack gap below zero", "04010000000000 02 05 02 02 00"},
      {"ack path id above 32 bits", "04c000000100000000 0000000000 01 05 00"},
      {"ack time beyond 71 years", "0401 00 c008000000000000 000000 01 05 00"},
      {"ack delay beyond 71 years", "0401 c008000000000000 00 000000 01 05 00"},
      {"observed address of no family", "0805 7f000001 01bb"},
      {"path status intent", "0901 00 05 00 00"},
      {"path status priority", "0901 00 00 05 00"},
      {"rate cap above 32 bits of kbit/s", "0901 00 00 00 c000000100000000"},
      {"policy mode", "0a00 04 00 00 00"},
      {"policy scheduler", "0a00 00 09 00 00"},
      {"policy congestion", "0a00 00 00 07 00"},
      {"policy rule of no kind", "0a00 00 00 00 01 06 0000 0000 04"},
      {"policy ports the wrong way round", "0a00 00 00 00 01 06 0002 0001 00"},
      {"control ack of no kind", "0b02 00 00"},
      {"close reason", "0d08"},
      {"gave up nothing", "0e0040 000001 0000"},
      {"gave up more than 64", "0e0040 000001 0041"},
      {"announce nothing", "0f00"},
      {"announce nine",
       "0f09 047f00000101bb 047f00000101bb 047f00000101bb 047f00000101bb 047f00000101bb 047f00000101bb 047f00000101bb "
       "047f00000101bb 047f00000101bb"},
  };
  for (const auto& [name, hex] : cases) {
    CAPTURE(name);
    CHECK(ends_as(hex) == Next::malformed);
  }
  Bytes beyond(10 + 0x8001);  // ends at 65536, one byte beyond any packet
  const Bytes head = from_hex("03 0000 000000 ffff 8001");
  std::copy(head.begin(), head.end(), beyond.begin());
  Next how;
  read_all(ByteSpan(beyond), how);
  CHECK(how == Next::malformed);
  std::string ranges;
  for (int i = 0; i < 31; ++i) ranges += "0000";
  CHECK(ends_as("04 01 00 00 00 00 00 20 7fff 00" + ranges) == Next::end);
  CHECK(ends_as("04 01 00 00 00 00 00 21 7fff 00 0000" + ranges) == Next::malformed);
  std::string rules;
  for (int i = 0; i < 65; ++i) rules += "060000000000";
  CHECK(ends_as("0a000000 00 41" + rules) == Next::malformed);
  CHECK(ends_as("0a000000 00 40" + rules.substr(12)) == Next::end);
}

TEST_CASE("the borders next to the nonsense are accepted") {
  CHECK(ends_as("04010000000000 01 05 05") == Next::end);        // reaches packet 0
  CHECK(ends_as("04010000000000 02 05 02 01 00") == Next::end);  // second range is packet 0
  CHECK(ends_as("0401 c007ffffffffffff c007ffffffffffff 000000 01 05 00") == Next::end);
  CHECK(ends_as("0901 00 04 04 c0000000ffffffff") == Next::end);
  CHECK(ends_as("0d07") == Next::end);
  CHECK(ends_as("0e0040 000001 0040") == Next::end);
}

TEST_CASE("a writer refuses what a reader would call malformed") {
  const Bytes one{0x45};
  const ByteSpan payload(one);
  auto refuses = [](const Frame& f, bool sized = false) { return encode_frame(f, sized).empty(); };

  CHECK(refuses(DataFrame{LaneId{0}, {}, 0, {}}));
  CHECK(refuses(DataFrame{LaneId{1024}, {}, 0, payload}));
  CHECK(refuses(DataFrame{LaneId{0}, {}, 0x100'0000, payload}));
  const Bytes large(65'536);
  CHECK(refuses(DataFrame{LaneId{0}, {}, 0, ByteSpan(large)}, true));
  CHECK(refuses(FragmentFrame{LaneId{0}, {}, 0, 0, true, payload}));
  CHECK(refuses(FragmentFrame{LaneId{0}, {}, 0, 1, false, payload}));
  CHECK(refuses(FragmentFrame{LaneId{0}, {}, 0, 0x8000, true, payload}));
  CHECK(refuses(FragmentFrame{LaneId{0}, {}, 0, 0x7fff, true, ByteSpan(large).first(0x8001)}));

  AckFrame ack;
  CHECK(refuses(ack));
  ack.range_count = 1;
  ack.ranges[0] = {PacketNumber{5}, PacketNumber{4}};
  CHECK(refuses(ack));
  ack.range_count = 2;
  ack.ranges[0] = {PacketNumber{5}, PacketNumber{9}};
  for (uint64_t last : {uint64_t{4}, uint64_t{5}, uint64_t{10}}) {  // adjacent, overlapping, ascending
    ack.ranges[1] = {PacketNumber{3}, PacketNumber{last}};
    CHECK(refuses(ack));
  }
  ack.ranges[1] = {PacketNumber{3}, PacketNumber{3}};
  CHECK_FALSE(refuses(ack));

  CHECK(refuses(ObservedAddressFrame{}));
  CHECK(refuses(AnnounceFrame{}));
  CHECK(refuses(GaveUpFrame{LaneId{1}, 0, 0}));
  CHECK(refuses(GaveUpFrame{LaneId{1}, 0, kMaxGaveUp + 1}));
  CHECK(refuses(CloseFrame{static_cast<CloseReason>(8)}));
  CHECK(refuses(PathStatusFrame{PathId{1}, kMaxVarint + 1, {}, {}, {}}));
  CHECK(refuses(PathStatusFrame{PathId{1}, 0, {}, {}, BitRate{-1}}));
  CHECK(refuses(PathStatusFrame{PathId{1}, 0, {}, {}, BitRate{std::numeric_limits<double>::quiet_NaN()}}));
  PolicyFrame policy;
  policy.rule_count = 65;
  CHECK(refuses(policy));
}

TEST_CASE("a rate cap is never rounded to no cap, and never overflows") {
  auto sent = [](double bps) {
    const Bytes bytes = encode_frame(PathStatusFrame{PathId{1}, 1, {}, {}, BitRate{bps}});
    FrameReader reader{ByteSpan(bytes)};
    Frame frame;
    REQUIRE(reader.next(frame) == Next::frame);
    return std::get<PathStatusFrame>(frame).rate_cap.bps;
  };
  CHECK(sent(0) == 0);
  CHECK(sent(1) == 1000);
  CHECK(sent(1999) == 1000);
  CHECK(sent(20e6) == 20e6);
  CHECK(sent(std::numeric_limits<double>::infinity()) == 4294967295e3);
}

TEST_CASE("reserved class bits are ignored, unknown classes are bulk") {
  Next how;
  CHECK(read_all(from_hex("01 007a 000001 45"), how) ==
        std::vector<std::string>{"DATA lane=1 class=10 seq=1 payload=45"});
  CHECK(read_all(from_hex("01 0047 000001 45"), how) ==
        std::vector<std::string>{"DATA lane=1 class=0 seq=1 payload=45"});
}

TEST_CASE("headers have the sizes that the scheduler counts on") {
  const Bytes one{0x45};
  CHECK(encode_frame(DataFrame{LaneId{1023}, {}, 0xff'ffff, ByteSpan(one)}).size() == kDataFrameHeader + 1);
  CHECK(encode_frame(DataFrame{LaneId{1023}, {}, 0xff'ffff, ByteSpan(one)}, true).size() == kSizedDataFrameHeader + 1);
  CHECK(encode_frame(FragmentFrame{LaneId{1023}, {}, 0xff'ffff, 0, false, ByteSpan(one)}).size() ==
        kFragmentFrameHeader + 1);
}

TEST_CASE("the fullest ack and the fullest policy fit in the smallest datagram") {
  constexpr size_t kSmallest = 1200 - 25;  // less header and tag
  AckFrame ack;
  ack.path = PathId{0xffff'ffff};
  ack.ack_delay = Duration::seconds(10'000'000);
  ack.largest_received_at = Time{INT64_MAX};
  ack.ecn = {kMaxVarint, kMaxVarint, kMaxVarint};
  ack.range_count = kMaxAckRanges;
  for (size_t i = 0; i < kMaxAckRanges; ++i) {
    const uint64_t last = kMaxVarint - (uint64_t{i} << 56);
    ack.ranges[i] = {PacketNumber{last - (uint64_t{1} << 54)}, PacketNumber{last}};
  }
  CHECK(encode_frame(ack).size() <= kSmallest);
  PolicyFrame policy;
  policy.sequence = kMaxVarint;
  policy.rule_count = kMaxClassRules;
  for (ClassRule& r : policy.rules) r = {17, 1, 65'535, RulePolicy::pin, PathId{0xffff'ffff}};
  CHECK(encode_frame(policy).size() <= kSmallest);
}

TEST_CASE("everything but acks and closes asks for an acknowledgement") {
  Dice dice(1);
  FrameMaker maker(dice);
  for (size_t type = 0; type < FrameMaker::kTypes; ++type) {
    const Frame frame = maker.make(type);
    CHECK(is_ack_eliciting(frame) !=
          (std::holds_alternative<AckFrame>(frame) || std::holds_alternative<CloseFrame>(frame)));
  }
}

}  // namespace
}  // namespace hawser::wire::test
