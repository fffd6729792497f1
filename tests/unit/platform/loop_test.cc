// The event loop: deadlines, descriptors, signals, the hook before sleep.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <csignal>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/loop.h"
#include "platform/rng.h"

namespace hawser {
namespace {

struct Pipe {
  UniqueFd read_end, write_end;
  Pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
  }
  void put() const { REQUIRE(::write(write_end.get(), "x", 1) == 1); }
};

std::unique_ptr<EventLoop> make_loop() {
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  REQUIRE(loop);
  return std::move(*loop);
}

TEST_CASE("deadlines fire in order, once, not before their time and not a millisecond rounded") {
  const auto loop = make_loop();
  std::vector<int> fired;
  const Time start = now();
  Time first_at;
  EventLoop::Timer first = loop->make_timer([&] {
    first_at = now();
    fired.push_back(1);
  });
  EventLoop::Timer second = loop->make_timer([&] {
    fired.push_back(2);
    loop->stop();
  });
  second.set_deadline(start + Duration::millis(20));
  first.set_deadline(start + Duration::micros(2'300));
  CHECK(first.armed());
  loop->run();
  CHECK(fired == std::vector<int>{1, 2});
  CHECK(first_at - start >= Duration::micros(2'300));
  CHECK_FALSE(first.armed());
}

TEST_CASE("a deadline long past fires at once, an infinite one never, a moved one once") {
  const auto loop = make_loop();
  int past = 0, never = 0, moved = 0;
  EventLoop::Timer a = loop->make_timer([&] { ++past; });
  EventLoop::Timer b = loop->make_timer([&] { ++never; });
  EventLoop::Timer c = loop->make_timer([&] { ++moved; });
  EventLoop::Timer end = loop->make_timer([&] { loop->stop(); });
  a.set_deadline(Time{});
  b.set_deadline(now() + Duration::millis(1));
  b.cancel();
  c.set_deadline(now() + Duration::millis(1));
  c.set_deadline(now() + Duration::millis(5));
  end.set_deadline(now() + Duration::millis(15));
  loop->run();
  CHECK(past == 1);
  CHECK(never == 0);
  CHECK(moved == 1);
}

TEST_CASE("a descriptor is reported in the directions of interest") {
  const auto loop = make_loop();
  const Pipe pipe;
  int reads = 0, writes = 0;
  EventLoop::FdWatch reading = loop->watch_fd(pipe.read_end.get(), Interest::read, [&](EventLoop::Ready ready) {
    CHECK(ready.readable);
    ++reads;
    char c;
    CHECK(::read(pipe.read_end.get(), &c, 1) == 1);
  });
  EventLoop::FdWatch writing =
      loop->watch_fd(pipe.write_end.get(), Interest::none, [&](EventLoop::Ready ready) { writes += ready.writable; });
  loop->run_once(false);
  CHECK(reads == 0);
  CHECK(writes == 0);
  pipe.put();
  writing.set_interest(Interest::write);
  loop->run_once(true);
  CHECK(reads == 1);
  CHECK(writes == 1);
  writing.set_interest(Interest::none);
  loop->run_once(false);
  CHECK(writes == 1);
}

TEST_CASE("a callback may destroy its own handle and others") {
  const auto loop = make_loop();
  const Pipe one, two;
  EventLoop::FdWatch a, b;
  int calls = 0;
  const auto callback = [&](EventLoop::Ready) {
    ++calls;
    a.reset();
    b.reset();
  };
  a = loop->watch_fd(one.read_end.get(), Interest::read, callback);
  b = loop->watch_fd(two.read_end.get(), Interest::read, callback);
  one.put();
  two.put();
  loop->run_once(true);
  loop->run_once(false);
  CHECK(calls == 1);
}

TEST_CASE("the hook runs after the callbacks of a turn, before the next sleep, and may set deadlines") {
  const auto loop = make_loop();
  std::string order;
  EventLoop::Timer timer = loop->make_timer([&] { order += "t"; });
  EventLoop::Hook hook = loop->before_sleep([&] {
    order += "h";
    if (order == "h") timer.set_deadline(Time{1});
    if (order.size() >= 3) loop->stop();
  });
  loop->run();
  CHECK(order == "hth");
}

TEST_CASE("signals arrive as callbacks") {
  const auto loop = make_loop();
  int terminated = 0, hung_up = 0;
  const EventLoop::SignalWatch terminate = loop->on_signal(Signal::terminate, [&] {
    ++terminated;
    loop->stop();
  });
  const EventLoop::SignalWatch hangup = loop->on_signal(Signal::hangup, [&] { ++hung_up; });
  EventLoop::Timer timer = loop->make_timer([] { std::raise(SIGTERM); });
  timer.set_deadline(now() + Duration::millis(1));
  loop->run();
  CHECK(terminated == 1);
  CHECK(hung_up == 0);
}

TEST_CASE("the system's random bytes differ") {
  SystemRng rng;
  std::array<uint8_t, 300> a{}, b{};
  rng.fill(a);
  rng.fill(b);
  CHECK(a != b);
  CHECK(std::count(a.begin(), a.end(), 0) < 30);
}

TEST_CASE("a wall time reads as ISO 8601") {
  CHECK(to_iso8601(1'795'348'083) == "2026-11-22T11:48:03Z");
}

}  // namespace
}  // namespace hawser
