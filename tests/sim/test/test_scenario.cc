// Scenario files: what is read, what is refused and how it is said; and that a scenario that falls is noticed.
#include <catch2/catch.hpp>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "tests/sim/scenario/committed.h"
#include "tests/sim/scenario/units.h"

namespace hawser::sim {
namespace {

struct TempFile {
  explicit TempFile(const std::string& content) {
    char name[] = "/tmp/hawser-sim-XXXXXX";
    close(mkstemp(name));
    path = name;
    std::ofstream(path) << content;
  }
  ~TempFile() { std::remove(path.c_str()); }
  std::string path;
};

const char* const kLink = "[[link]]\nname='a'\nrate='20M'\ndelay='10ms'\n";

std::string error_of(const std::string& content) {
  const TempFile file(content);
  try {
    load_scenarios(file.path);
  } catch (const ScenarioError& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("amounts with units") {
  CHECK(parse_rate("300k").bps == 300e3);
  CHECK(parse_rate("1.5M").bps == 1.5e6);
  CHECK(parse_duration("500us") == Duration::micros(500));
  CHECK(parse_duration("2s") == Duration::seconds(2));
  CHECK(parse_bytes("500kB") == 500'000);
  CHECK(parse_bytes("16MiB") == 16u << 20);
  CHECK(parse_fraction("0.5%") == Approx(0.005));
  for (const char* bad : {"", "20", "M", "20 M", "-1M", "nanM", "20Mbit"}) CHECK_THROWS_AS(parse_rate(bad), ScenarioError);
}

TEST_CASE("a link's settings, its directions, its steps") {
  const TempFile file(
      "seconds = 9\n"
      "[[link]]\nname='a'\nrate='20M'\ndelay='10ms'\nqueue='50ms'\nup={rate='5M'}\n"
      "steps=[{at='1s', rate='2M'}, {at='2s', carrier=false}]\nrepeat='4s'\n");
  const Scenario s = load_scenarios(file.path).at(0);
  const LinkSpec& l = s.links.at(0);
  CHECK(l.up.rate.bps == 5e6);
  CHECK(l.down.rate.bps == 20e6);
  CHECK(l.down.queue_limit() == 125'000);
  REQUIRE(l.steps.size() == 4);  // at 1, 2, 5, 6; those at 9 and 10 are beyond the end
  CHECK(l.steps[1].down.rate.bps == 2e6);  // a step keeps what the one before it set
  CHECK(l.steps[1].carrier == false);
  CHECK(l.steps[2].at == Duration::seconds(5));
}

TEST_CASE("a variant replaces whole keys and keeps the others") {
  const TempFile file(std::string(kLink) + "[[flow]]\ntype='tcp'\n[[variant]]\nname='x'\nflow=[{type='echo'}]\n[[variant]]\nname='y'\n");
  const auto all = load_scenarios(file.path);
  REQUIRE(all.size() == 2);
  CHECK(all[0].flows.at(0).type == "echo");
  CHECK(all[1].flows.at(0).type == "tcp");
  CHECK(all[0].links.size() == 1);
}

// Else its first packets are lost before there is a tunnel, and it begins a second late.
TEST_CASE("a flow that says nothing else starts when the tunnel is up") {
  const TempFile file("seconds = 2\nmeasure-from = 0\nflow = [{ bytes = '100kB' }]\n[[link]]\nname='a'\nrate='20M'\ndelay='30ms'\n");
  const Scenario s = load_scenarios(file.path).at(0);
  CHECK(s.flows.at(0).start == Duration::millis(220));
  const ScenarioResult r = run_scenario(s);
  // A lost SYN alone would take a second.
  CHECK(r.run.flows.at(0).values.at("seconds") < 0.8);
}

TEST_CASE("mistakes are named") {
  CHECK(error_of("[[link]]\nname='a'\nrtae='20M'\n").find("rtae") != std::string::npos);
  CHECK(error_of("[[link]]\nname='a'\nrate='fast'\n").find("'fast'") != std::string::npos);
  CHECK(error_of("[[link]]\nname='a'\nrate=20\n").find("quotes") != std::string::npos);
  CHECK(error_of(std::string(kLink) + "[[flow]]\ntype='ftp'\n").find("ftp") != std::string::npos);
  CHECK(error_of(std::string(kLink) + "via='nowhere'\n").find("nowhere") != std::string::npos);
  for (const char* bad : {"[[4, 2]]", "[[1]]", "[[20, 40]]", "[2, 4]"}) {
    CHECK(error_of(std::string("phases = ") + bad + "\n" + kLink).find("phase 1") != std::string::npos);
  }
  CHECK(error_of("[[link]\n").find(":1:") != std::string::npos);
  CHECK(error_of("").find("no link") != std::string::npos);
  CHECK(error_of(kLink).empty());
}

TEST_CASE("a bar that is missed, a ratio over another variant, and a result that fell by more than 3 %") {
  Scenario a, b;
  a.name = "f/a";
  a.variant = "a";
  b.name = "f/b";
  b.variant = "b";
  a.bars = {{"goodput", 90.0, {}, "", ""}, {"goodput", 1.1, {}, "b", ""}, {"delay", {}, 30.0, "", ""}};
  std::vector<ScenarioResult> results(2);
  results[0].scenario = &a;
  results[1].scenario = &b;
  results[0].run.values = {{"goodput", 88.0}, {"delay", 20.0}};
  results[1].run.values = {{"goodput", 80.0}};
  judge(results);
  REQUIRE(results[0].bars.size() == 3);
  CHECK_FALSE(results[0].bars[0].reached);
  CHECK(results[0].bars[1].ours == Approx(1.1));
  CHECK(results[0].bars[2].reached);

  const TempFile committed("{}");
  CHECK(compare_with(committed.path, results, 0.03).size() == 3);  // not there at all
  write_committed(committed.path, results);
  CHECK(compare_with(committed.path, results, 0.03).empty());
  results[0].run.values = {{"goodput", 86.0}, {"delay", 20.5}};  // -2.3 %, +2.5 %
  judge(results);
  CHECK(compare_with(committed.path, results, 0.03).empty());
  results[0].run.values = {{"goodput", 85.0}, {"delay", 20.7}};  // -3.4 %, +3.5 %
  judge(results);
  CHECK(compare_with(committed.path, results, 0.03).size() == 3);
}

TEST_CASE("between two limits any value is as good as another; beyond one it is worse") {
  Scenario a;
  a.name = "f/a";
  a.bars = {{"share", 0.45, 0.55, "", ""}};
  std::vector<ScenarioResult> results(1);
  results[0].scenario = &a;
  const auto breaches = [&](double then, double now) {
    const TempFile committed("{\"f/a\": {\"share\": " + std::to_string(then) + "}}");
    results[0].run.values = {{"share", now}};
    judge(results);
    return compare_with(committed.path, results, 0.03).size();
  };
  CHECK(breaches(0.54, 0.46) == 0);
  CHECK(breaches(0.46, 0.54) == 0);
  CHECK(breaches(0.50, 0.44) == 1);
  CHECK(breaches(0.50, 0.56) == 1);
  CHECK(breaches(0.40, 0.395) == 0);  // already short, by less than 3 % more
}

TEST_CASE("a tiny number is no worse than what its own rounding made of it") {
  Scenario a;
  a.name = "f/a";
  a.bars = {{"share", {}, 0.02, "", ""}};
  std::vector<ScenarioResult> results(1);
  results[0].scenario = &a;
  results[0].run.values = {{"share", 0.000116}};
  judge(results);
  const TempFile committed("{}");
  write_committed(committed.path, results);
  CHECK(compare_with(committed.path, results, 0.03).empty());
  results[0].run.values = {{"share", 0.00016}};
  judge(results);
  CHECK(compare_with(committed.path, results, 0.03).size() == 1);
}

TEST_CASE("what was measured earlier keeps its line in the table") {
  Scenario a, b;
  a.name = "f/a";
  b.name = "f/b";
  a.bars = {{"goodput", 90.0, {}, "", ""}};
  b.bars = {{"goodput", {}, {}, "", ""}, {"delay", {}, 30.0, "", ""}};
  const TempFile committed("{\"f/a\": {\"goodput\": 88.0}, \"f/b\": {\"goodput\": 5.0}}");
  std::vector<ScenarioResult> results(1);
  results[0].scenario = &b;
  results[0].run.values = {{"goodput", 7.0}, {"delay", 20.0}};
  judge(results);
  write_committed(committed.path, results);
  const std::vector<ScenarioResult> table = read_committed(committed.path, {a, b});
  REQUIRE(table.size() == 2);
  REQUIRE(table[0].bars.size() == 1);
  CHECK(table[0].bars[0].ours == 88.0);
  CHECK_FALSE(table[0].bars[0].reached);
  REQUIRE(table[1].bars.size() == 2);
  CHECK(table[1].bars[0].ours == 7.0);
  CHECK(table[1].bars[1].reached);
}

TEST_CASE("each phase has its rates; a flow beside the tunnel is what the tunnel is compared with") {
  const TempFile file(
      "seconds = 12\nmeasure-from = 2\nphases = [[2, 6], [8, 12]]\n"
      "flow = [{}, { name = 'other', over = 'b' }]\n"
      "[[link]]\nname='a'\nrate='20M'\ndelay='10ms'\nsteps=[{at='7s', rate='10M'}]\n"
      "[[link]]\nname='b'\npath=false\nrate='20M'\ndelay='10ms'\n");
  const Scenario s = load_scenarios(file.path).at(0);
  const std::map<std::string, double> v = run_scenario(s).run.values;
  CHECK(v.at("goodput_in_1") > 16);
  CHECK(v.at("goodput_in_2") == Approx(v.at("goodput_in_1") / 2).epsilon(0.1));
  CHECK(v.at("tcp.goodput_in_2") == v.at("goodput_in_2"));
  CHECK(v.at("other.of_link_in_1") == Approx(1.0).epsilon(0.05));
  CHECK(v.at("other.of_link_in_2") == Approx(1.0).epsilon(0.05));
  CHECK(v.at("other.matched") == Approx(v.at("goodput") / v.at("other.goodput")));
}

TEST_CASE("a flow that stops is silent a round trip and a queue later") {
  const TempFile file(
      "seconds = 8\nphases = [[3, 5], [5.3, 8]]\nflow = [{ name = 'other', over = 'a', stop = '5s' }]\n"
      "[[link]]\nname='a'\nrate='20M'\ndelay='10ms'\n");
  const std::map<std::string, double> v = run_scenario(load_scenarios(file.path).at(0)).run.values;
  CHECK(v.at("other.of_link_in_1") == Approx(1.0).epsilon(0.05));
  CHECK(v.at("other.goodput_in_2") == 0);
}

TEST_CASE("how evenly users share") {
  const TempFile file(
      "seconds = 8\nmeasure-from = 3\nflow = [{}, { name = 'second', user = 2 }]\n"
      "[[link]]\nname='a'\nrate='30M'\ndelay='5ms'\n[[link]]\nname='b'\nuser=2\nrate='10M'\ndelay='5ms'\n");
  const std::map<std::string, double> v = run_scenario(load_scenarios(file.path).at(0)).run.values;
  CHECK(v.at("jain") == Approx(0.8).epsilon(0.01));  // (3 + 1)^2 / (2 (9 + 1))
  CHECK(v.at("least_of_fair") == Approx(0.5).epsilon(0.02));
}

}  // namespace hawser::sim
