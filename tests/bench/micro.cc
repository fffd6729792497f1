// hawser-micro: what each stage of a packet's way costs (Google Benchmark); time per iteration is time per packet.
#include <benchmark/benchmark.h>

#include "common/coalesce.h"
#include "common/crypto/cipher_backend.h"
#include "common/queue/ingress_queue.h"
#include "common/queue/resequencer.h"
#include "common/scheduler/scheduler.h"
#include "common/wire/datagram.h"
#include "common/wire/frame.h"
#include "tests/bench/engine_pair.h"
#include "tests/unit/base/offload_support.h"

namespace hawser {
namespace {

using testing::Bytes;

constexpr size_t kFull = 1400;
constexpr size_t kTrain = 45;  // about a super-packet

// ---- ciphers: a full datagram and a small one, in place, over more memory than the first cache holds
// -----------------

using MakeCipher = std::unique_ptr<PacketCipher> (*)(uint8_t, const SecretKey&);

void cipher(benchmark::State& state, MakeCipher make, uint8_t bit, bool sealing) {
  const auto text = static_cast<size_t>(state.range(0));
  const auto c = (supported_ciphers() & bit) != 0 ? make(bit, SecretKey{}) : nullptr;
  if (!c) return state.SkipWithError("not on this machine");
  constexpr size_t kBuffers = 64, kRoom = 1536;
  std::vector<uint8_t> memory(kBuffers * kRoom);
  const std::array<uint8_t, 9> ad{};
  std::vector<Bytes> sealed(sealing ? 0 : kBuffers, Bytes(text + kAeadTagSize));
  for (Bytes& b : sealed) benchmark::DoNotOptimize(c->seal(b, ByteSpan(b).first(text), ad, Nonce{}));
  size_t i = 0;
  for (auto _ : state) {
    const MutableByteSpan b = MutableByteSpan(memory).subspan(i % kBuffers * kRoom, text + kAeadTagSize);
    if (!sealing) std::copy(sealed[i % kBuffers].begin(), sealed[i % kBuffers].end(), b.begin());  // opening uses it up
    const bool ok = sealing ? c->seal(b, b.first(text), ad, Nonce{}) : c->open(b, ad, Nonce{});
    if (!ok) return state.SkipWithError("not authentic");
    ++i;
  }
}
#define CIPHER(name, make, bit)                                                 \
  BENCHMARK_CAPTURE(cipher, name##_seal, make, bit, true)->Arg(1415)->Arg(200); \
  BENCHMARK_CAPTURE(cipher, name##_open, make, bit, false)->Arg(1415)->Arg(200)
CIPHER(aes256gcm_libsodium, make_sodium_cipher, wire::kCipherAes256Gcm);
CIPHER(aes256gcm_libcrypto, make_openssl_cipher, wire::kCipherAes256Gcm);
CIPHER(chacha20_libsodium, make_sodium_cipher, wire::kCipherChaCha20);
CIPHER(chacha20_libcrypto, make_openssl_cipher, wire::kCipherChaCha20);

// ---- wire
// ---------------------------------------------------------------------------------------------------------------

void encode(benchmark::State& state) {
  const Bytes packet(kFull);
  Bytes out(1500);
  for (auto _ : state) {
    wire::write_data_header({SessionIndex{7}, 1, 12345}, out);
    wire::FrameWriter w(MutableByteSpan(out).subspan(wire::kDataHeaderSize));
    w.data({LaneId{5}, {}, 99, packet});
    benchmark::DoNotOptimize(w.size());
  }
}
BENCHMARK(encode);

void decode(benchmark::State& state) {
  Bytes in(1450, 1);
  wire::write_data_header({SessionIndex{7}, 1, 12345}, in);
  wire::FrameWriter w(MutableByteSpan(in).subspan(wire::kDataHeaderSize));
  w.data({LaneId{5}, {}, 99, Bytes(kFull)});
  for (auto _ : state) {
    const auto header = wire::parse_data_header(in);
    wire::FrameReader reader(ByteSpan(in).subspan(wire::kDataHeaderSize, w.size()));
    wire::Frame frame;
    if (!header || reader.next(frame) != wire::FrameReader::Next::frame) return state.SkipWithError("malformed");
    benchmark::DoNotOptimize(frame);
  }
}
BENCHMARK(decode);

// ---- queues and decisions
// -------------------------------------------------------------------------------------------------

void schedule(benchmark::State& state, wire::SchedulerKind kind) {
  const auto s = make_scheduler(kind);
  std::vector<PathView> paths(3);
  for (size_t i = 0; i < paths.size(); ++i) {
    PathView& p = paths[i];
    p.index = i;
    p.id = PathId{static_cast<uint32_t>(i)};
    p.has_room = p.has_urgent_room = true;
    p.one_way_delay = Duration::millis(10 + static_cast<int64_t>(i) * 7);
    p.smoothed_rtt = p.one_way_delay * 2;
    p.rate = BitRate{20e6};
    p.window = 100'000;
    p.bytes_in_flight = 50'000;
    p.datagram = 1452;
  }
  SchedulerRequest request;
  request.bytes = request.backlog = kFull;
  for (auto _ : state) benchmark::DoNotOptimize(s->pick(request, paths));
}
BENCHMARK_CAPTURE(schedule, earliest_of_3, wire::SchedulerKind::earliest);
BENCHMARK_CAPTURE(schedule, min_rtt_of_3, wire::SchedulerKind::min_rtt);

// In and out with a standing queue of 64 packets, of so many flows.
void fq_codel(benchmark::State& state) {
  PacketPool pool;
  IngressQueue queue;
  DropCounters drops;
  Time now{1'000'000'000};
  const auto flows = static_cast<uint16_t>(state.range(0));
  std::vector<PacketHeaders> headers(flows);
  for (uint16_t i = 0; i < flows; ++i) headers[i].flow_hash = i * 0x9e3779b97f4a7c15ull;
  size_t n = 0;
  const auto put = [&] {
    Packet p = pool.allocate();
    p.resize(kFull);
    queue.enqueue(std::move(p), headers[n++ % flows], now, drops);
  };
  for (int i = 0; i < 64; ++i) put();
  IngressHead head;
  for (auto _ : state) {
    now += Duration::micros(2);
    put();
    queue.begin_round();
    if (!queue.head(head, now, drops)) return state.SkipWithError("empty");
    benchmark::DoNotOptimize(queue.pop(now));
  }
}
BENCHMARK(fq_codel)->Arg(1)->Arg(50);

// Packets of two paths: blocks of so many swapped, so that half of them wait. 1: all in order.
void resequencer(benchmark::State& state) {
  PacketPool pool;
  Resequencer r(pool);
  DropCounters drops;
  Deliveries out;
  const Bytes packet(kFull);
  const auto block = static_cast<uint32_t>(state.range(0));
  uint32_t n = 0;
  for (auto _ : state) {
    const uint32_t place = n % (2 * block);
    const uint32_t seq = block == 1 ? n : place < block ? n + block : n - block;
    r.on_packet(LaneId{3}, {}, seq & 0xffffff, packet, {}, Time{1'000'000'000 + n}, out, drops);
    if (out.size() >= 64) out.clear();
    ++n;
  }
}
BENCHMARK(resequencer)->Arg(1)->Arg(32);

// ---- super-packets; an iteration is a train, its time is told per packet
// -----------------------------------------------

void coalesce(benchmark::State& state) {
  std::vector<Bytes> packets;
  testing::PacketSpec spec{.payload = kFull - 40};
  for (size_t i = 0; i < kTrain; ++i) {
    packets.push_back(testing::make_packet(spec));
    spec.sequence += static_cast<uint32_t>(spec.payload);
  }
  const std::vector<ByteSpan> views(packets.begin(), packets.end());
  Coalescer c;
  while (state.KeepRunningBatch(kTrain)) {
    if (c.run(views, {true, true}).size() != 1) return state.SkipWithError("not one train");
  }
}
BENCHMARK(coalesce);

void cut(benchmark::State& state) {
  testing::PacketSpec spec{.payload = kTrain * (kFull - 40)};
  Bytes super = testing::make_packet(spec), out(kFull);
  PacketOffload offload;
  offload.kind = PacketOffload::Kind::tcp4;
  offload.partial_checksum = true;
  offload.segment_size = kFull - 40;
  offload.checksum_start = 20;
  offload.checksum_offset = 16;
  Segmenter s;
  while (state.KeepRunningBatch(kTrain)) {
    if (!s.begin(super, offload)) return state.SkipWithError("malformed");
    while (!s.done()) s.next(out);
  }
}
BENCHMARK(cut);

void checksum(benchmark::State& state) {
  const Bytes bytes(kFull, 7);
  for (auto _ : state) benchmark::DoNotOptimize(ones_sum(bytes));
}
BENCHMARK(checksum);

// ---- both engines, without cipher: a packet's whole way from TUN to TUN, acknowledgements included
// ----------------------

void both_engines(benchmark::State& state) {
  bench::EnginePair pair(static_cast<size_t>(state.range(0)),
                         [](uint8_t, const SecretKey&) { return std::make_unique<bench::FreeCipher>(); });
  constexpr size_t kPerStep = 40;
  for (int i = 0; i < 1000; ++i) pair.step(kPerStep);
  while (state.KeepRunningBatch(kPerStep)) pair.step(kPerStep);
}
BENCHMARK(both_engines)->Arg(1400)->Arg(160);

}  // namespace
}  // namespace hawser

BENCHMARK_MAIN();
