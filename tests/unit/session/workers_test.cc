// Several workers of one server, each with an endpoint: whoever takes a handshake, the user's owner has the session.
#include <atomic>
#include <catch2/catch.hpp>

#include "common/session/handover.h"
#include "test_net.h"

namespace hawser::test {
namespace {

// One client with two links, several workers, no delay. Datagrams reach the worker that the rules say.
struct Office {
  explicit Office(uint32_t workers, uint64_t seed, size_t max_sessions = 100) : rng(seed), server_keys(StaticKeyPair::generate(rng)) {
    steering = Steering::of_pools(workers, IpPrefix::parse("10.9.0.0/16"), {});
    for (uint32_t i = 0; i < workers; ++i) {
      ServerConfig c;
      c.cipher_factory = make_null_cipher;
      c.static_key = server_keys.clone();
      c.server_v4 = IpAddress::v4(10, 9, 0, 1);
      c.max_sessions = max_sessions;
      c.steering = steering;
      c.worker = i;
      c.all_sessions = &all_sessions;
      servers.push_back(Endpoint::make_server(std::move(c), rng));
    }
  }

  struct User {
    StaticKeyPair keys;
    std::unique_ptr<Endpoint> client;
    IpAddress inner;
    std::vector<Event> events;
    std::vector<uint32_t> got;
  };
  User& add_user(uint8_t place) {
    auto user = std::make_unique<User>(User{StaticKeyPair::generate(rng), nullptr, IpAddress::v4(10, 9, 0, place), {}, {}});
    ClientConfig c;
    c.cipher_factory = make_null_cipher;
    c.static_key = user->keys.clone();
    c.server_key = server_keys.public_key();
    user->client = Endpoint::make_client(std::move(c), rng);
    users.push_back(std::move(user));
    return *users.back();
  }
  void connect(User& user) {
    for (uint8_t n = 1; n <= 2; ++n) {
      LinkUp up;
      up.link = LinkId{n};
      up.local = tuple_of(user, n).remote;
      up.remote = {IpAddress::v4(203, 0, 113, 1), 443, 0};
      up.group = n;
      user.client->on_path_event(up, now);
    }
    run(Duration::millis(500));
  }
  // How the server sees a user's link.
  UdpTuple tuple_of(const User& user, uint8_t link) const {
    return {LinkId{0}, {IpAddress::v4(203, 0, 113, 1), 443, 0}, {IpAddress::v4(192, 0, link, user.inner.bytes[3]), 1000, 0}};
  }

  void to_server(uint32_t worker, std::vector<uint8_t> bytes, const UdpTuple& from) {
    ReceivedDatagram d{bytes, from, 0, now};
    servers[worker]->on_datagrams(std::span(&d, 1), now);
    deliver(worker);
  }
  void deliver(uint32_t worker) {
    DeliverBatch batch;
    while (servers[worker]->poll_deliver(batch)) {
      for (const ByteSpan p : batch.packets) at_worker.emplace_back(worker, marker_of(p));
    }
  }
  void run(Duration length) {
    for (const Time end = now + length; now < end; now += Duration::millis(5)) {
      for (auto& u : users) u->client->on_timer(now);
      for (auto& s : servers) s->on_timer(now);
      for (int i = 0; i < 30; ++i) turn();
    }
  }
  void turn() {
    TransmitBatch batch;
    for (auto& u : users) {
      while (u->client->poll_transmit(batch, now)) {
        for (size_t i = 0; i < batch.count; ++i) {
          const ByteSpan d = batch.datagram(i);
          if (d[0] == Steering::kInitiationType) initiations.emplace_back(d.begin(), d.end());
          to_server(steering.of_datagram(d), {d.begin(), d.end()}, tuple_of(*u, static_cast<uint8_t>(batch.to.link.value)));
        }
      }
      Event e;
      while (u->client->poll_event(e)) u->events.push_back(std::move(e));
    }
    for (uint32_t w = 0; w < servers.size(); ++w) {
      Event e;
      while (servers[w]->poll_event(e)) handle(w, e);
      while (servers[w]->poll_transmit(batch, now)) {
        for (size_t i = 0; i < batch.count; ++i) to_client(w, batch.to, batch.datagram(i));
      }
      deliver(w);
    }
  }
  void handle(uint32_t worker, const Event& event) {
    if (const auto* h = std::get_if<Handover>(&event)) {
      CHECK(h->worker != worker);
      ++(h->what->handshake ? handovers : copies);
      servers.at(h->worker)->on_handover(*h->what, now);
    } else if (const auto* q = std::get_if<RegistryLookup>(&event)) {
      RegistryAnswer a;
      a.id = q->id;
      for (const auto& u : users) {
        if (!(q->key == u->keys.public_key())) continue;
        a.verdict = RegistryAnswer::Verdict::accepted;
        a.user = UserId{u->inner.bytes[3]};
        a.inner_v4 = u->inner;
      }
      servers[worker]->on_registry_answer(a, now);
    } else if (const auto* up = std::get_if<SessionUp>(&event)) {
      ++sessions_up;
      key_up = up->key;
    }
  }
  void to_client(uint32_t worker, const UdpTuple& to, ByteSpan bytes) {
    ++answers[worker];
    for (auto& u : users) {
      for (uint8_t link : {1, 2}) {
        if (!(to.remote == tuple_of(*u, link).remote)) continue;
        std::vector<uint8_t> copy(bytes.begin(), bytes.end());
        ReceivedDatagram d{copy, {LinkId{link}, to.remote, to.local}, 0, now};
        u->client->on_datagrams(std::span(&d, 1), now);
        DeliverBatch batch;
        while (u->client->poll_deliver(batch)) {
          for (const ByteSpan p : batch.packets) u->got.push_back(marker_of(p));
        }
      }
    }
  }
  uint64_t dropped(uint32_t worker, DropReason reason) const { return servers[worker]->info().drops[reason]; }

  SeededRng rng;
  StaticKeyPair server_keys;
  Steering steering;
  std::atomic<size_t> all_sessions{0};
  std::vector<std::unique_ptr<Endpoint>> servers;
  std::vector<std::unique_ptr<User>> users;
  Time now{1'000'000'000};
  std::vector<std::vector<uint8_t>> initiations;
  std::vector<std::pair<uint32_t, uint32_t>> at_worker;  // worker, marker
  std::map<uint32_t, int> answers;
  PublicKey key_up;  // the last session's
  int handovers = 0, copies = 0, sessions_up = 0;
};

size_t active_paths(const Endpoint& e, Time now) {
  size_t n = 0;
  for (const SessionInfo& s : e.sessions(now)) {
    for (const PathInfo& p : s.paths) n += p.state == PathState::active;
  }
  return n;
}

TEST_CASE("whichever worker takes a handshake, the user's owner has the session, and packets pass both ways") {
  int handed = 0, kept = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    INFO("seed " << seed);
    Office office(3, seed);
    for (const uint8_t place : {2, 3, 4, 5}) office.connect(office.add_user(place));
    const Time now = office.now;
    for (auto& u : office.users) {
      const uint32_t owner = office.steering.of_address(u->inner);
      Packet up = u->client->pool().copy_of(make_packet(u->inner, IpAddress::v4(10, 9, 0, 1), 7u + owner));
      u->client->on_packets(std::span(&up, 1), now);
      Packet down = office.servers[owner]->pool().copy_of(make_packet(IpAddress::v4(10, 9, 0, 1), u->inner, 70u + owner));
      office.servers[owner]->on_packets(std::span(&down, 1), now);
    }
    office.run(Duration::millis(50));
    for (auto& u : office.users) CHECK(u->got == std::vector<uint32_t>{70u + office.steering.of_address(u->inner)});
    CHECK(office.at_worker.size() == 4);
    for (const auto& [worker, marker] : office.at_worker) CHECK(marker == 7u + worker);
    CHECK(office.sessions_up == 4);
    CHECK(office.all_sessions == 4);
    size_t sessions = 0;
    for (uint32_t w = 0; w < 3; ++w) {
      for (const SessionInfo& s : office.servers[w]->sessions(now)) {
        ++sessions;
        CHECK(office.steering.of_address(s.inner_v4) == w);
      }
      CHECK(office.servers[w]->info().drops[DropReason::unknown_index] == 0);
      CHECK(active_paths(*office.servers[w], now) == 2 * office.servers[w]->info().sessions);
    }
    CHECK(sessions == 4);
    handed += office.handovers;
    kept += 4 - office.handovers;
  }
  CHECK(handed > 20);  // two of three
  CHECK(kept > 5);
}

// An office in which the only user's handshake was taken by another worker than his owner.
std::unique_ptr<Office> handed_over(uint32_t& taker, uint32_t& owner) {
  for (uint64_t seed = 1;; ++seed) {
    auto office = std::make_unique<Office>(2, seed);
    auto& user = office->add_user(3);
    office->connect(user);
    owner = office->steering.of_address(user.inner);
    taker = office->steering.of_datagram(office->initiations.front());
    if (taker == owner) continue;
    CHECK(office->handovers == 1);
    return office;
  }
}

TEST_CASE("copies of an initiation that was handed over get the owner's answer, but not without end") {
  uint32_t taker = 0, owner = 0;
  const auto office = handed_over(taker, owner);
  const int before = office->answers[owner];
  const std::vector<uint8_t> initiation = office->initiations.front();
  const UdpTuple elsewhere{LinkId{0}, {IpAddress::v4(203, 0, 113, 1), 443, 0}, {IpAddress::v4(198, 51, 100, 9), 9, 0}};
  office->to_server(taker, initiation, elsewhere);
  office->turn();
  CHECK(office->copies >= 1);
  CHECK(office->answers[owner] == before + 1);
  CHECK(office->answers[taker] == 0);
  for (int i = 0; i < 200; ++i) office->to_server(taker, initiation, elsewhere);
  office->turn();
  CHECK(office->copies <= kMaxHandedCopies);
  CHECK(office->dropped(taker, DropReason::handshake_budget) > 100);
}

TEST_CASE("an initiation that made keys makes none again, whichever worker gets the replay") {
  uint32_t taker = 0, owner = 0;
  const auto office = handed_over(taker, owner);
  office->run(kInitiationLife + Duration::seconds(1));
  const auto accepted = office->servers[owner]->info().handshakes_completed;
  for (const uint32_t worker : {taker, owner}) {
    const int before = office->answers[owner];
    const auto started = office->servers[worker]->info().handshakes_started;
    office->to_server(worker, office->initiations.front(), office->tuple_of(*office->users.front(), 1));
    office->turn();
    // Where it was taken and with the owner a replay is cheap: no curve operations, no question.
    CHECK(office->dropped(worker, DropReason::replay) == 1);
    CHECK(office->servers[worker]->info().handshakes_started == started);
    CHECK(office->answers[owner] == before);
  }
  CHECK(office->servers[owner]->info().handshakes_completed == accepted);
}

TEST_CASE("a copy of an answered initiation that a third worker takes gets the answer, later it is a replay") {
  Office office(3, 1);
  auto& user = office.add_user(3);
  office.connect(user);
  const uint32_t owner = office.steering.of_address(user.inner);
  const std::vector<uint8_t> initiation = office.initiations.front();
  const uint32_t taker = office.steering.of_datagram(initiation);
  uint32_t third = 0;
  while (third == owner || third == taker) ++third;
  const auto replays = [&] { return office.dropped(owner, DropReason::replay); };
  const int before = office.answers[owner];
  office.to_server(third, initiation, office.tuple_of(user, 1));
  for (int i = 0; i < 2; ++i) office.turn();  // to the third, to the owner
  CHECK(office.answers[owner] == before + 1);
  CHECK(replays() == 0);

  Office late(3, 1);
  auto& same = late.add_user(3);
  late.connect(same);
  late.run(kInitiationLife + Duration::seconds(1));
  late.to_server(third, initiation, late.tuple_of(same, 1));
  late.turn();
  CHECK(late.dropped(owner, DropReason::replay) == 1);
}

TEST_CASE("the bound of sessions is of all workers together") {
  Office office(2, 1, 1);
  office.connect(office.add_user(2));
  auto& second = office.add_user(3);
  office.connect(second);
  CHECK(office.all_sessions == 1);
  CHECK(office.sessions_up == 1);
  CHECK(std::any_of(second.events.begin(), second.events.end(), [](const Event& e) {
    const auto* refused = std::get_if<Refused>(&e);
    return refused && refused->reason == wire::RefusalReason::full;
  }));
  office.servers[0]->close(UserId{2}, wire::CloseReason::removed, office.now);
  CHECK(office.all_sessions == 0);
  office.connect(office.add_user(4));
  CHECK(office.sessions_up == 2);
}

TEST_CASE("a session tells its device's key, and a device that was replaced goes alone") {
  Office office(2, 1);
  auto& user = office.add_user(2);
  office.connect(user);
  const uint32_t owner = office.steering.of_address(user.inner);
  CHECK(office.key_up == user.keys.public_key());
  const PublicKey other = office.server_keys.public_key();
  office.servers[owner]->close(UserId{2}, wire::CloseReason::replaced, office.now, &other);
  CHECK(office.all_sessions == 1);
  office.servers[owner]->close(UserId{2}, wire::CloseReason::replaced, office.now, &office.key_up);
  CHECK(office.all_sessions == 0);
}

}  // namespace
}  // namespace hawser::test
