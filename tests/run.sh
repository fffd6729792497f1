#!/usr/bin/env bash
# Installs what the tests need, builds, and runs all of them through ctest.
#
#   tests/run.sh                  everything; without root: unit, sim and fuzz
#   tests/run.sh unit e2e         by label: unit, sim, e2e, fuzz; asan, tsan: unit, sim and part of e2e under the sanitizers,
#                                 tsan only when asked for (its build and runs would not fit the budget)
#   tests/run.sh -R name -L label as ctest has them
#   tests/run.sh bars [P1 P2 ..] [--runs N]   measures the bars and writes their tables (tests/netlab/bars/table.py --help)
#   tests/run.sh bars faults [FAULT ..]       the same for links that go, fade and lie (tests/netlab/bars/faults.py --help)
#
# Stages print their name and the time since the start. With CI set a skipped test is a failure and so is a run above 70 minutes, waits
# for a quiet machine aside. A measurement without a valid run (the machine was too busy, four times or until the time was up) is
# counted by itself when its runs held the bars although the emulator was late, and failed when more of them did not.
set -u
# With stdin closed the next descriptor that a program opens would become its stdin.
[ -e /dev/fd/0 ] || exec </dev/null
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$project/deploy/lib/packages.sh"
. "$project/deploy/lib/build.sh"

usage() { sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

# Not a test but a measurement: minutes to hours, alone on the machine.
if [ "${1:-}" = bars ]; then
  shift
  packages_log=/dev/null packages_ensure "${hawser_build_packages[@]}" "${hawser_demo_packages[@]}" python3 || exit 4
  build_configure "$project" "$project/build" -DHAWSER_TESTS=ON -DCMAKE_BUILD_TYPE=Release &&
    build_targets "$project/build" vpn-up vpn-down vpn-status vpn-join vpn-key vpn-server hawser-netem hawser-probe hawser-httpd hawser-sim || exit 1
  [ "${1:-}" != faults ] || { shift; exec "$project/tests/netlab/bars/faults.py" "$@"; }
  exec "$project/tests/netlab/bars/table.py" "$@"
fi

words=()
ctest_arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    -R | -L | -E | -LE) [ $# -ge 2 ] || { printf 'tests/run.sh: %s needs a value\n' "$1" >&2; exit 2; }
      ctest_arguments+=("$1" "$2"); shift ;;
    unit | sim | e2e | fuzz | asan | tsan) words+=("$1") ;;
    -*) ctest_arguments+=("$1") ;;
    *) printf 'tests/run.sh: %s is no label; there are unit, sim, e2e, fuzz, asan, tsan (-R NAME picks tests by name)\n' "$1" >&2; exit 2 ;;
  esac
  shift
done
# Everything is asked for when nothing is; -R and -L narrow within all labels, but do not pull in the sanitizers' second run.
if [ ${#words[@]} -eq 0 ]; then
  words=(unit sim fuzz e2e)
  [ ${#ctest_arguments[@]} -gt 0 ] || words+=(asan)
fi
wanted() { case " ${words[*]} " in *" $1 "*) true ;; *) false ;; esac; }

began=$SECONDS
stage_name=
stage_began=$SECONDS
declare -A spent=([build]=0 [unit]=0 [e2e]=0)
clock() { printf '%d:%02d' $(((SECONDS - began) / 60)) $(((SECONDS - began) % 60)); }
# stage GROUP NAME: closes the stage before and opens this one; GROUP (build, unit, e2e) is the budget it counts against.
stage() {
  [ -z "$stage_name" ] || printf '    %s: %d s\n' "$stage_name" $((SECONDS - stage_began))
  [ -z "${stage_group:-}" ] || spent[$stage_group]=$((${spent[$stage_group]:-0} + SECONDS - stage_began))
  stage_group=$1 stage_name=$2 stage_began=$SECONDS
  [ -z "$2" ] || printf '=== %s  %s\n' "$(clock)" "$2"
}

passed=0 failed=0 skipped=0 unmeasured=0
steady=()
# Tests without a valid run so far: how many late runs held the bars, less how many missed them.
declare -A busy=()
problems=()
problem() { problems+=("$*"); printf 'FAILED: %s\n' "$*"; }
skip() {
  printf 'SKIPPED: %s\n' "$*"
  skipped=$((skipped + 1))
}

# run_tests FOLDER ARGUMENT..: one run of ctest, its counts added up from its own report.
run_tests() {
  local folder=$1 report counts p f s name bars
  shift
  report=$folder/report-${report_number:=1}.xml
  report_number=$((report_number + 1))
  rm -f "$report"
  "${steady[@]}" ctest --test-dir "$folder" --output-on-failure --no-tests=ignore --output-junit "$report" "$@" "${ctest_arguments[@]}" </dev/null
  [ -s "$report" ] || { problem "ctest wrote no report for $folder"; return; }
  counts=$(awk '/<testsuite/ { inside = 1 }
    inside && match($0, /(tests|failures|skipped|disabled)="[0-9]+"/) {
      line = $0
      while (match(line, /(tests|failures|skipped|disabled)="[0-9]+"/)) {
        split(substr(line, RSTART, RLENGTH), pair, "=\""); sub(/"$/, "", pair[2]); n[pair[1]] = pair[2]
        line = substr(line, RSTART + RLENGTH) } }
    /<testcase/ { exit }
    END { print n["tests"] - n["failures"] - n["skipped"] - n["disabled"], n["failures"] + 0, n["skipped"] + n["disabled"] }' "$report")
  read -r p f s <<<"$counts"
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  # Tests that found no quiet machine: ctest counts them as failed. The name stands in the testcase before what it printed. None
  # measures under the sanitizers.
  [ "$folder" = "$project/build" ] || return 0
  while read -r name bars; do
    failed=$((failed - 1))
    if [ "$bars" = held ]; then bars=1; else bars=-1; fi
    busy[$name]=$((${busy[$name]:-0} + bars))
  done < <(awk '/<testcase / { match($0, /name="[^"]*"/); name = substr($0, RSTART + 6, RLENGTH - 7) }
    match($0, /NO VALID RUN, bars (held|missed): /) { split(substr($0, RSTART, RLENGTH), word, /[ :]/); if (bars[name] != "missed") bars[name] = word[5] }
    END { for (name in bars) print name, bars[name] }' "$report")
}
# run_again TEST ATTEMPT: one that had no valid run.
run_again() {
  local known=${busy[$1]}
  unset "busy[$1]"
  NETLAB_ATTEMPTS=$2 run_tests "$project/build" -R "^${1//./\\.}\$"
  [ -z "${busy[$1]:-}" ] || busy[$1]=$((busy[$1] + known))
}

cpus=$(nproc)
root=false
[ "$(id -u)" -ne 0 ] || root=true

# Nothing is fetched for a part that is not asked for.
packages=("${hawser_build_packages[@]}" catch2 valgrind libbenchmark-dev)
if wanted fuzz; then packages+=(clang libclang-rt-14-dev); fi
if wanted e2e || wanted asan || wanted tsan; then packages+=("${hawser_demo_packages[@]}" iperf3 python3 dbus-daemon groff-base man-db); fi
# Where systemd runs the machine, these would start (sshd) or change its next boot (cloud-init): only a container gets them.
if wanted e2e && [ "$(cat /proc/1/comm 2>/dev/null)" != systemd ]; then packages+=(openssh-server openssh-client systemd cloud-init); fi

stage build packages
packages_log=/dev/null packages_ensure "${packages[@]}" || exit 4

if wanted unit || wanted sim || wanted e2e; then
  stage build 'build'
  build_configure "$project" "$project/build" -DHAWSER_TESTS=ON -DCMAKE_BUILD_TYPE=Release && build_targets "$project/build" || exit 1
fi
# -O1: the sanitizers' code compiles faster than at -O2 and runs at twice the speed of -O0. -g1: line numbers in reports.
optimised=(-DCMAKE_BUILD_TYPE=RelWithDebInfo '-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1')
sanitized=(-DHAWSER_SANITIZE=address,undefined "${optimised[@]}")
# build_sanitized FOLDER OPTION..: the programs and their tests; netlab's tools come from the plain build, because they must be in time.
build_sanitized() {
  local folder=$project/build/$1 targets
  shift
  build_configure "$project" "$folder" -DHAWSER_TESTS=ON "$@" || exit 1
  mapfile -t targets < <(cmake --build "$folder" --target help | grep -oE '\btest_[a-z0-9_]+\b' | sort -u)
  build_targets "$folder" vpn-up vpn-down vpn-status vpn-join vpn-key vpn-server hawser-rawudp hawser-networkmanager "${targets[@]}" || exit 1
}
if wanted asan; then
  stage build 'build with address and undefined-behaviour sanitizers'
  build_sanitized asan "${sanitized[@]}"
fi
if wanted tsan; then
  stage build 'build with the thread sanitizer'
  build_sanitized tsan -DHAWSER_SANITIZE=thread "${optimised[@]}"
fi
if (wanted asan || wanted tsan) && ! [ -x "$project/build/bin/hawser-netem" ]; then
  build_configure "$project" "$project/build" -DHAWSER_TESTS=ON -DCMAKE_BUILD_TYPE=Release &&
    build_targets "$project/build" hawser-netem hawser-probe hawser-httpd || exit 1
fi
if wanted fuzz; then
  stage build 'build of the fuzz targets'
  mapfile -t targets < <(sed -n 's/^hawser_fuzz(\([a-z_0-9]*\).*/fuzz_\1/p' "$project/tests/fuzz/CMakeLists.txt")
  build_configure "$project" "$project/build/fuzz" -DHAWSER_FUZZ=ON -DHAWSER_TESTS=OFF "${sanitized[@]}" \
    -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ && build_targets "$project/build/fuzz" fuzz_seeds "${targets[@]}" || exit 1
fi

labels=$(for label in unit sim; do wanted $label && printf '%s|' $label; done)
if [ -n "$labels" ]; then
  stage unit "${labels//|/ }tests"
  run_tests "$project/build" -L "^(${labels%|})\$" -j "$cpus"
fi
if wanted fuzz; then
  stage unit 'fuzz targets, a short run of each'
  run_tests "$project/build/fuzz" -L '^fuzz$' -j "$cpus"
fi
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-second_deadlock_stack=1}
# Where the kernel spreads addresses wider than the thread sanitizer knows, its programs run without that.
if wanted tsan && [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)" -gt 28 ]; then steady=(setarch "$(uname -m)" -R); fi
# Neighbours on the same host come and go: measuring tests wait for a quiet machine, so long in all. Of the four runs that a
# measurement may have to be valid one is made at first and the others, where needed, at the end, one round of them after the other:
# a busy minute ends meanwhile.
patience=900
export NETLAB_PATIENCE=$project/build/patience
mkdir -p "$project/build"
echo $patience >"$NETLAB_PATIENCE"
waited() { echo $((patience - $(cat "$NETLAB_PATIENCE"))); }
# time_is_up MINUTES: has the run taken so long, without the waits, or ten minutes more with them?
time_is_up() { [ $((SECONDS - began - $(waited))) -gt $(($1 * 60)) ] || [ $((SECONDS - began)) -gt $(($1 * 60 + 600)) ]; }
# The house rules and documents do not depend on how the programs were compiled.
if wanted asan; then
  stage unit 'unit and sim tests under the sanitizers'
  run_tests "$project/build/asan" -L '^(unit|sim)$' -E '^unit\.(house|documents)' -j "$cpus"
fi
if wanted tsan; then
  stage unit 'unit and sim tests under the thread sanitizer'
  run_tests "$project/build/tsan" -L '^(unit|sim)$' -E '^unit\.(house|documents)' -j "$cpus"
fi
if wanted e2e; then
  stage e2e 'end-to-end tests'
  if $root; then NETLAB_ATTEMPTS=1 run_tests "$project/build" -L '^e2e$' -j "$cpus"; else skip 'end-to-end tests: they need root (sudo tests/run.sh e2e)'; fi
fi
if wanted asan; then
  stage e2e 'part of the end-to-end tests under the sanitizers'
  if $root; then run_tests "$project/build/asan" -L '^e2e$' -E '^e2e\.netlab' -j "$cpus"; else skip 'end-to-end tests under the sanitizers: they need root'; fi
fi
if wanted tsan; then
  stage e2e 'end-to-end tests of threads under the thread sanitizer'
  if $root; then run_tests "$project/build/tsan" -L '^e2e$' -E '^e2e\.netlab' -j "$cpus"; else skip 'end-to-end tests under the thread sanitizer: they need root'; fi
fi
# First those whose runs missed the bars: for them the time of the whole run is given, for the others a little less of it.
measure_again() {
  local attempt name minutes
  ctest_arguments=()
  for attempt in 2 3 4; do
    for name in $(for name in "${!busy[@]}"; do echo "${busy[$name]} $name"; done | sort -n | cut -d' ' -f2); do
      minutes=60
      [ "${busy[$name]}" -ge 0 ] || minutes=65
      if time_is_up $minutes; then printf 'no time is left to measure %s again\n' "$name"; else run_again "$name" "$attempt"; fi
    done
  done
}
if [ ${#busy[@]} -gt 0 ]; then
  stage e2e 'measurements for which the machine was too busy'
  measure_again
fi
for name in $(printf '%s\n' "${!busy[@]}" | sort); do
  if [ "${busy[$name]}" -ge 0 ]; then
    unmeasured=$((unmeasured + 1))
    printf 'NOT MEASURED: %s held its bars, but the machine was too busy in every run\n' "$name"
  else
    problem "$name had no valid run, and most of its runs missed the bars"
  fi
done
stage '' ''

waited=$(waited)
[ "$waited" -eq 0 ] || printf 'waited %d s for a quiet machine\n' "$waited"
# The budgets are for two cores; a machine that runs other things besides may be slower, so alone the total fails the run.
for group in build:20 unit:10 e2e:35; do
  [ "${spent[${group%:*}]}" -le $((${group#*:} * 60)) ] ||
    printf 'over budget: %s took %d s of %d s\n' "${group%:*}" "${spent[${group%:*}]}" $((${group#*:} * 60))
done
[ $((SECONDS - began - waited)) -le 4200 ] || problem "the run took $(clock), more than 70 minutes"
[ -z "${CI:-}" ] || [ "$skipped" -eq 0 ] || problem "$skipped tests skipped, and CI is set"
[ $((passed + failed + skipped + unmeasured + ${#problems[@]})) -gt 0 ] || problem 'no test has that name or label'
failed=$((failed + ${#problems[@]}))

printf 'total %s: builds %d s, unit+sim+fuzz %d s, e2e %d s; %d skipped\n' "$(clock)" "${spent[build]}" "${spent[unit]}" "${spent[e2e]}" "$skipped"
[ "$unmeasured" -eq 0 ] || printf '%d not measured: the machine was too busy\n' "$unmeasured"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
