// Names to addresses, blocking and beside the loop.
#include "platform/resolve.h"
#include "netns.h"
#include "platform/clock.h"

namespace hawser {
namespace {

TEST_CASE("addresses are taken as they are, names are looked up, a wrong one is an error with its name") {
  if (!testing::fresh_namespace()) return;  // where no question can leave the machine
  CHECK(*resolve("203.0.113.7") == std::vector<IpAddress>{*IpAddress::parse("203.0.113.7")});
  CHECK(*resolve("2001:db8::7") == std::vector<IpAddress>{*IpAddress::parse("2001:db8::7")});
  const Result<std::vector<IpAddress>> local = resolve("localhost");
  REQUIRE(local);
  CHECK(local->front().is_loopback());
  const Result<std::vector<IpAddress>> wrong = resolve("no-such-host.invalid");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().code == ExitCode::no_answer);
  CHECK(wrong.error().message.find("no-such-host.invalid") != std::string::npos);
}

TEST_CASE("a name is looked up while the loop goes on; a dropped question is never answered") {
  if (!testing::fresh_namespace()) return;
  const auto loop = std::move(*EventLoop::create());
  std::vector<IpAddress> found;
  int dropped = 0;
  Result<std::unique_ptr<Resolution>> one =
      Resolution::start(*loop, "localhost", [&](Result<std::vector<IpAddress>> answer) {
        if (answer) found = *answer;
        one = Error{};  // the callback may end it
        loop->stop();
      });
  REQUIRE(one);
  {
    const auto gone = Resolution::start(*loop, "localhost", [&](const Result<std::vector<IpAddress>>&) { ++dropped; });
    REQUIRE(gone);
  }
  EventLoop::Timer give_up = loop->make_timer([&] { loop->stop(); });
  give_up.set_deadline(now() + Duration::seconds(10));
  loop->run();
  REQUIRE_FALSE(found.empty());
  CHECK(found.front().is_loopback());
  loop->run_once(false);
  CHECK(dropped == 0);
}

}  // namespace
}  // namespace hawser
