#!/usr/bin/env bash
# hawser-sim --update: the scenario that ran gets its numbers, all others keep theirs, and the text says what the table says.
#   update.sh HAWSER_SIM SCENARIOS
set -eu
sim=$1 scenarios=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { printf 'update.sh: %s\n' "$*" >&2; exit 1; }

cat >"$folder/results.json" <<'END'
{
 "s16/a-requests": {
  "request.time_p50": 47.11
 },
 "s16/e-5MB": {
  "tcp.seconds": 99.0
 }
}
END
"$sim" --scenarios "$scenarios" "$scenarios/s16.toml" --variant e-5MB --update "$folder/results.json" >/dev/null
grep -q '"request.time_p50": 47.11' "$folder/results.json" || fail 'a scenario that did not run lost its number'
grep -q '99.0' "$folder/results.json" && fail 'the scenario that ran kept its old number'
[ "$(wc -l <"$folder/results.txt")" -eq 3 ] || fail "the text is not two bars and a heading: $(cat "$folder/results.txt")"
grep -Eq 's16/a-requests +request.time_p50 +47.1 +<= 45.0 +SHORT' "$folder/results.txt" || fail 'the text does not have the other scenario'
grep -Eq 's16/e-5MB +tcp.seconds +[0-9.]+ +<= 4.50 +ok' "$folder/results.txt" || fail 'the text does not have the scenario that ran'
