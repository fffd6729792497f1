#!/usr/bin/env bash
# Runs fuzz targets for a bounded time each, from fresh seeds and with a fixed seed; fails on any crash, leak or hang.
#   tests/fuzz/run.sh SECONDS [FOLDER OF PROGRAMS] [TARGET ...]        default folder: build/fuzz/bin, default targets: all
# An input that fails is kept in FOLDER/../fuzz-failures; replay it with: FOLDER/fuzz_TARGET FILE
set -euo pipefail

usage() {
  printf 'usage: %s SECONDS [FOLDER OF PROGRAMS] [TARGET ...]\n' "$0" >&2
  exit 2
}

[ $# -ge 1 ] && [[ $1 =~ ^[0-9]+$ ]] && [ "$1" -gt 0 ] || usage
seconds=$1
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=${2:-$project/build/fuzz/bin}
shift $(($# < 2 ? $# : 2))
[ -x "$bin/fuzz_seeds" ] || { printf '%s: no fuzz targets in %s; build with cmake --preset fuzz\n' "$0" "$bin" >&2; exit 2; }

if [ $# -gt 0 ]; then
  targets=("$@")
else
  targets=()
  for program in "$bin"/fuzz_*; do
    name=${program##*/fuzz_}
    [ "$name" = seeds ] || targets+=("$name")
  done
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$bin/fuzz_seeds" "$work/seeds"
failures=$bin/../fuzz-failures
mkdir -p "$failures"
failures=$(cd "$failures" && pwd)

export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
status=0
for name in "${targets[@]}"; do
  mkdir -p "$work/$name" "$work/seeds/$name"
  words=()
  [ ! -f "$project/tests/fuzz/$name.dict" ] || words=(-dict="$project/tests/fuzz/$name.dict")
  # -timeout and -rss_limit_mb: an input that takes long or much memory is a way to deny service, hence a failure.
  if "$bin/fuzz_$name" "$work/$name" "$work/seeds/$name" -max_total_time="$seconds" -seed=20260801 -timeout=5 \
    -rss_limit_mb=1024 -max_len=4096 -len_control=20 -print_final_stats=1 ${words[@]+"${words[@]}"} -artifact_prefix="$failures/$name-" \
    >"$work/$name.log" 2>&1; then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$name.log")
    printf 'fuzz %-24s %9s inputs in %s s: nothing found\n' "$name" "${runs:-0}" "$seconds"
  else
    printf 'fuzz %-24s FAILED; the input is in %s\n' "$name" "$failures" >&2
    tail -n 60 "$work/$name.log" >&2
    status=1
  fi
done
exit $status
