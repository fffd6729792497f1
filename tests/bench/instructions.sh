#!/usr/bin/env bash
# Instructions that the engine spends per packet, by callgrind, for the sending and the receiving end (acknowledgements
# included, cipher left out), compared with tests/bench/instructions.txt: more than a tenth above fails.
#
#   tests/bench/instructions.sh BIN [--write]      BIN: the folder of a Release build's programs; --write renews the file
#
# Exit 77: skipped. The numbers hold for g++ 12 and -O2; they do not depend on the machine's load.
set -u -o pipefail
bin=${1:?the folder of the programs}
committed=$(dirname "${BASH_SOURCE[0]}")/instructions.txt
command -v valgrind >/dev/null || { printf 'SKIPPED: valgrind is not installed\n'; exit 77; }
steps=250 per_step=40

# collected FUNCTION STEPS: instructions below that function in a run of twice so many steps.
collected() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "--toggle-collect=hawser::bench::$1(*" "$bin/hawser-engine-count" "$2" 2>&1 |
    awk '/Collected :/ { print $NF }'
}
# The difference of a long and a short run leaves the handshake out.
per_packet() {
  local long short
  long=$(collected "$1" $((2 * steps))) short=$(collected "$1" $steps)
  [ -n "$long" ] && [ -n "$short" ] || { printf 'callgrind gave no number for %s\n' "$1" >&2; return 1; }
  printf '%d' $(((long - short) / (2 * steps * per_step)))
}

now=$(for end in sender receiver; do printf '%s %s\n' $end "$(per_packet ${end}_turn)" || exit 1; done) || exit 1
if [ "${2:-}" = --write ]; then printf '%s\n' "$now" >"$committed"; fi
paste -d' ' <(printf '%s\n' "$now") "$committed" | awk '
  $1 != $3 || $2 <= 0 { print "no committed number for " $1; bad = 1; next }
  { printf "%s: %d instructions per packet, committed %d (%+.1f %%)\n", $1, $2, $4, 100 * ($2 / $4 - 1) }
  $2 > 1.1 * $4 { print "   more than a tenth above: make it cheaper, or say why in the commit that renews the file (--write)"; bad = 1 }
  END { exit bad || NR != 2 }'
