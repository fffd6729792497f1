// The MTU inside the tunnel: down at once, up after a minute without a break.
#include <catch2/catch.hpp>

#include "common/path/tunnel_mtu.h"

namespace hawser {
namespace {

constexpr Time kStart{1'000'000'000};

TEST_CASE("tunnel MTU: lowered at once, never above the offer, never below IPv6's least") {
  TunnelMtu m(1400);
  CHECK(m.mtu() == 1400);
  CHECK_FALSE(m.on_paths(0, kStart));  // nothing known
  CHECK_FALSE(m.on_paths(1441, kStart));
  CHECK(m.mtu() == 1400);
  CHECK(m.raise_at() == Time::infinite());
  CHECK(m.on_paths(1361, kStart));
  CHECK(m.mtu() == 1361);
  CHECK(m.on_paths(1221, kStart));
  CHECK(m.mtu() == 1280);
  CHECK(m.unsplit() == 1221);
  CHECK_FALSE(m.on_paths(1169, kStart));
  CHECK(m.mtu() == 1280);
  CHECK(m.unsplit() == 1169);
  CHECK(TunnelMtu(576).mtu() == 1280);
}

TEST_CASE("tunnel MTU: raised after a minute in which all paths carried more") {
  TunnelMtu m(1400);
  m.on_paths(1221, kStart);
  CHECK_FALSE(m.on_paths(1441, kStart));
  CHECK(m.raise_at() == kStart + Duration::seconds(60));
  CHECK_FALSE(m.on_paths(1441, kStart + Duration::millis(59'999)));
  CHECK(m.mtu() == 1280);
  CHECK(m.on_paths(1441, kStart + Duration::seconds(60)));
  CHECK(m.mtu() == 1400);
  CHECK(m.unsplit() == 1400);
  CHECK(m.raise_at() == Time::infinite());
}

TEST_CASE("tunnel MTU: a link that comes and goes does not raise it") {
  TunnelMtu m(1400);
  m.on_paths(1221, kStart);
  Time now = kStart;
  for (int i = 0; i < 20; ++i) {
    now += Duration::seconds(30);
    CHECK_FALSE(m.on_paths(1441, now));  // the small one is gone
    now += Duration::seconds(29);
    CHECK_FALSE(m.on_paths(i % 2 ? 1221 : 0, now));  // and back; or nothing works
  }
  CHECK(m.mtu() == 1280);
  CHECK(m.raise_at() == Time::infinite());
}

TEST_CASE("tunnel MTU: raised to the least of the minute, then on") {
  TunnelMtu m(1400);
  m.on_paths(1221, kStart);
  m.on_paths(1441, kStart);
  m.on_paths(1321, kStart + Duration::seconds(30));
  m.on_paths(1361, kStart + Duration::seconds(40));
  CHECK(m.on_paths(1361, kStart + Duration::seconds(60)));
  CHECK(m.mtu() == 1321);
  CHECK(m.raise_at() == kStart + Duration::seconds(120));
  CHECK(m.on_paths(1361, kStart + Duration::seconds(120)));
  CHECK(m.mtu() == 1361);
  CHECK(m.raise_at() == Time::infinite());
}

}  // namespace
}  // namespace hawser
