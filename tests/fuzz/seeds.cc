// Writes a few valid inputs for each fuzz target, so that a short run starts behind the first checks:
// fuzz_seeds FOLDER makes FOLDER/TARGET/NAME. Made anew for each run, so they cannot grow stale.
#include <cstdio>
#include <filesystem>

#include "common/config/invite.h"
#include "common/config/profile.h"
#include "common/config/server_settings.h"
#include "common/wire/datagram.h"
#include "common/wire/handshake_payload.h"
#include "tests/unit/base/offload_support.h"
#include "tests/unit/wire/support.h"

using namespace hawser;
using namespace hawser::wire;
using test::Bytes;

namespace {

std::filesystem::path folder;

void put(const std::string& target, const std::string& name, const Bytes& bytes) {
  std::filesystem::create_directories(folder / target);
  std::ofstream out(folder / target / name, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!out) throw std::runtime_error("cannot write to " + folder.string());
}

Bytes join(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

void frames() {
  test::Dice dice(1);
  test::FrameMaker maker(dice);
  Bytes all;
  for (size_t type = 0; type < test::FrameMaker::kTypes; ++type) {
    Frame frame = maker.make(type);
    if (auto* f = std::get_if<DataFrame>(&frame))
      f->payload = f->payload.first(std::min<size_t>(f->payload.size(), 40));
    if (auto* f = std::get_if<FragmentFrame>(&frame)) f->payload = f->payload.first(1);
    const Bytes bytes = test::encode_frame(frame, true);
    put("frames", "frame" + std::to_string(type), bytes);
    all = join(all, bytes);
  }
  put("frames", "all", all);
  // Against the server and the client: these frames one by one as datagrams of path 0, then time.
  for (uint8_t role : {0, 1}) {
    Bytes tape{role};
    for (size_t type = 0; type < test::FrameMaker::kTypes; ++type) {
      const Bytes frame = test::encode_frame(maker.make(type), true);
      const size_t size = std::min<size_t>(frame.size(), 1400);
      tape = join(tape, {15, static_cast<uint8_t>(type % 2 << 6 | type % 3), 0, static_cast<uint8_t>(size >> 8),
                         static_cast<uint8_t>(size)});
      tape.insert(tape.end(), frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
      tape = join(tape, {4, static_cast<uint8_t>(type), 0, 10});
    }
    put("endpoint_authenticated", role ? "server" : "client", tape);
  }
  // Packets of the user and of nobody, in order, ahead and as fragments, and one that is another user's.
  Bytes tape{1};
  for (uint8_t i = 0; i < 6; ++i) {
    Bytes packet(28);
    packet[0] = 0x45;
    packet[3] = 28;
    packet[9] = 17;
    const Bytes source{10, 9, 0, static_cast<uint8_t>(i == 5 ? 3 : 2)};
    std::copy(source.begin(), source.end(), packet.begin() + 12);
    const uint32_t seq = i == 2 ? 9 : i;
    const Bytes frame = test::encode_frame(DataFrame{LaneId{3}, {TrafficClass::bulk, i == 4}, seq, ByteSpan(packet)});
    tape = join(tape, {15, 0, 0, 0, static_cast<uint8_t>(frame.size())});
    tape = join(tape, frame);
    for (uint16_t offset : {uint16_t{0}, uint16_t{20}}) {
      const ByteSpan piece = offset ? ByteSpan(packet).subspan(20) : ByteSpan(packet).first(20);
      const Bytes fragment = test::encode_frame(FragmentFrame{LaneId{4}, {}, seq, offset, offset > 0, piece});
      tape = join(tape, {15, 0, 0, 0, static_cast<uint8_t>(fragment.size())});
      tape = join(tape, fragment);
    }
  }
  put("endpoint_authenticated", "packets", tape);
  // Packets both ways with honest acks; a challenge from elsewhere and its answer.
  put("endpoint_authenticated", "traffic", {1, 1, 4, 0, 1, 15, 3, 0, 0, 1, 4, 3, 0, 0, 0,  20, 6, 0x40, 0,
                                            0, 9, 6, 1, 2, 3,  4, 5, 6, 7, 8, 4, 1, 0, 50, 5,  0, 0});
  put("frames", "skipped", {0x40, 0, 2, 1, 2, 0x05, 0, 0});
}

void datagrams() {
  Bytes data(60);
  write_data_header({SessionIndex{1}, 2, 3}, MutableByteSpan(data));
  put("datagram", "data", data);
  Bytes initiation(kInitiationSize), response(200), cookie(kCookieReplySize);
  write_initiation_prefix(SessionIndex{1}, MutableByteSpan(initiation));
  write_response_prefix(SessionIndex{1}, SessionIndex{7}, MutableByteSpan(response));
  write_cookie_reply_prefix(SessionIndex{7}, MutableByteSpan(cookie));
  put("datagram", "initiation", initiation);
  put("datagram", "response", response);
  put("datagram", "cookie", cookie);
  put("handshake", "initiation", join({0}, initiation));
  put("handshake", "response", join({1}, response));
  put("handshake", "cookie", join({1}, cookie));
}

// A stranger's list of doings: see endpoint_unauthenticated.cc.
void stranger() {
  put("endpoint_unauthenticated", "replay", {4, 0, 0, 1, 4, 0, 1, 0, 1, 6, 50, 5, 0, 3, 0, 9, 7, 0, 7, 2, 0, 1});
  put("endpoint_unauthenticated", "header", {3, 0, 4, 0, 0, 0, 9, 0, 30, 1, 2, 3, 4, 5, 6, 7, 8, 9, 6, 200});
  put("endpoint_unauthenticated", "initiation", {2, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 6, 100, 6, 255});
}

void payloads() {
  InitiationPayload initiation;
  initiation.enrolment = EnrolmentProof{};
  Bytes bytes(64);
  if (!encode(initiation, MutableByteSpan(bytes))) throw std::runtime_error("initiation payload");
  put("handshake_payload", "initiation", bytes);
  put("handshake", "payload", join({2}, bytes));
  AcceptPayload accept;
  accept.mtu = 1400;
  accept.inner_v4 = accept.server_v4 = IpAddress::v4(10, 9, 0, 2);
  accept.observed = {accept.inner_v4, 443, 0};
  // Every list at its bound: one more is one mutation away.
  accept.endpoints.assign(kMaxAnnouncedEndpoints, accept.observed);
  accept.routes.assign(kMaxAnnouncedRoutes, {IpAddress::v4(10, 0, 0, 0), 8});
  accept.dns.assign(kMaxAnnouncedDns, accept.inner_v4);
  put("handshake_payload", "accept", encode(ResponsePayload{accept}));
  put("handshake_payload", "refused", encode(ResponsePayload{RefusedPayload{}}));
}

Bytes text(uint8_t choice, std::string_view s) {
  Bytes out{choice};
  out.insert(out.end(), s.begin(), s.end());
  return out;
}

void configuration() {
  Invite invite;
  invite.endpoints = {{"203.0.113.7", 443}, {"2001:db8::7", 443}, {"vpn.example.org", 443}};
  invite.server_public_key.bytes.fill(9);
  invite.token.fill(7);
  invite.expires.seconds = 1'900'000'000;
  const auto line = encode_invite(invite);
  if (!line) throw std::runtime_error(line.error().message);
  put("invite", "text", text(0, *line));
  Bytes body{1};
  for (int shift = 56; shift >= 0; shift -= 8) body.push_back(static_cast<uint8_t>(invite.expires.seconds >> shift));
  body.insert(body.end(), 32, 9);
  body.insert(body.end(), 16, 7);
  const Bytes endpoints{2, 4, 203, 0, 113, 7, 1, 187, 1, 3, 'v', 'p', 'n', 1, 187};
  put("invite", "body", join(body, endpoints));

  Profile profile;
  profile.endpoints = invite.endpoints;
  profile.server_public_key = invite.server_public_key;
  profile.private_key_file = "keys/home.key";
  profile.route = {RouteChoice::Kind::list, {{IpAddress::v4(10, 0, 0, 0), 8}}};
  profile.ignore = default_ignore();
  profile.paths = {{{"wwan0", "", true}, PathPriority::backup, IpAddress::v4(10, 0, 0, 1)}};
  // A seed that does not parse would stand before the door with the noise.
  if (const auto p = parse_profile(render(profile), "seed"); !p) throw std::runtime_error(p.error().message);
  put("toml", "profile", text(0, render(profile)));
  ServerSettings settings;
  settings.endpoints = invite.endpoints;
  settings.ipv4 = IpPrefix{IpAddress::v4(10, 9, 0, 0), 16};
  settings.dns = {IpAddress::v4(9, 9, 9, 9)};
  if (const auto p = parse_server_settings(render(settings), "seed"); !p) throw std::runtime_error(p.error().message);
  put("toml", "server", text(1, render(settings)));
}

// Trains of each kind that is put together, and a super-packet with what the kernel would say of it.
void super_packets() {
  for (const bool v6 : {false, true}) {
    for (const bool udp : {false, true}) {
      hawser::testing::PacketSpec spec{.v6 = v6, .udp = udp, .payload = 60};
      Bytes train{0};
      for (int i = 0; i < 5; ++i) {
        if (i == 4) spec.payload = 20;
        const Bytes packet = hawser::testing::make_packet(spec);
        train.push_back(static_cast<uint8_t>(0x80 | packet.size() >> 8));
        train.push_back(static_cast<uint8_t>(packet.size()));
        train = join(train, packet);
        spec.id = static_cast<uint16_t>(spec.id + 1);
        spec.sequence += 60;
      }
      const std::string name = std::string(udp ? "udp" : "tcp") + (v6 ? "6" : "4");
      put("super_packet", name, train);
      const auto kind = static_cast<uint8_t>(4 | (udp ? 3 : v6 ? 2 : 1));
      spec.payload = 300;
      const Bytes words{1, kind, 0, 60, 0, static_cast<uint8_t>(v6 ? 40 : 20), 0, static_cast<uint8_t>(udp ? 6 : 16), 0, 0};
      put("super_packet", name + "-whole", join(words, hawser::testing::make_packet(spec)));
    }
  }
}

// SYNs with the option in several places, timestamps, signed or not, and packets that are too large, behind an MTU of 1280.
void inner_packets() {
  for (const bool v6 : {false, true}) {
    const std::string family = v6 ? "6" : "4";
    hawser::testing::PacketSpec spec{.v6 = v6, .flags = 2, .options = {2, 4, 5, 180, 4, 2, 1, 0}, .payload = 0};
    put("inner_packet", "syn" + family, join({5, 0}, hawser::testing::make_packet(spec)));
    spec.options = {1, 2, 4, 5, 180, 3, 3, 7};
    put("inner_packet", "odd" + family, join({5, 0}, hawser::testing::make_packet(spec)));
    spec.flags = 0x10;
    spec.options = {1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7};
    put("inner_packet", "stamped" + family, join({5, 0}, hawser::testing::make_packet(spec)));
    spec.options.insert(spec.options.end(), {19, 4, 1, 2});
    put("inner_packet", "signed" + family, join({5, 0}, hawser::testing::make_packet(spec)));
    put("inner_packet", "large" + family, join({5, 0}, hawser::testing::make_packet({.v6 = v6, .udp = true, .payload = 1300})));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds FOLDER\n");
    return 2;
  }
  folder = argv[1];
  try {
    frames();
    datagrams();
    payloads();
    stranger();
    super_packets();
  inner_packets();
    configuration();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "fuzz_seeds: %s\n", e.what());
    return 1;
  }
  return 0;
}
