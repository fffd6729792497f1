#!/usr/bin/env bash
# One bar's case, measured once with the shipped programs and kernel TCP in netlab, as one line.
#
#   tests/netlab/bars.sh P3 down [--seconds 15] [--skip 5] [--congestion bbr] [--only link1] [--seed N] [--floor] [--json]
#                                [--keep FOLDER] [--watch] [--no-offload]
#   tests/netlab/bars.sh --list
#
# Inner TCP is CUBIC unless another is named; the kernel is asked for it and must say that it is. --floor judges by what noise
# does not break: 10 % below a rate's bar, 1.5 times a time's. --json prints everything measured, --keep leaves logs, status and
# traces there, with --watch also what the inner TCP of both ends says of itself every 50 ms (ss-*.log). Needs root.
# With --no-offload both ends use none of the kernel's offloads.
# Exit: 0 reached, 1 short of the bar or failed, 75 invalid (the emulator was late in four runs), 77 skipped.
# `tests/run.sh bars` makes tables of medians with this.
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"
. "$NETLAB_HOME/bars/cases.sh"
. "$NETLAB_HOME/bars/measure.sh"

usage() { sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
wrong() { printf 'bars.sh: %s\n' "$*" >&2; exit 2; }

congestion=cubic seed=1 json=false watch=false floor=false offloads=true keep='' only='' seconds_asked='' skip_asked=''
words=()
arguments=("$@")
while [ $# -gt 0 ]; do
  case $1 in
    --list) case_list; exit 0 ;;
    -h | --help) usage; exit 0 ;;
    --json) json=true ;;
    --watch) watch=true ;;
    --floor) floor=true ;;
    --no-offload) offloads=false ;;
    --seconds | --skip | --congestion | --keep | --only | --seed)
      [ $# -ge 2 ] || wrong "$1 needs a value"
      case $1 in
        --seconds) seconds_asked=$2 ;; --skip) skip_asked=$2 ;; --congestion) congestion=$2 ;; --keep) keep=$2 ;; --only) only=$2 ;; --seed) seed=$2 ;;
      esac
      shift ;;
    -*) wrong "there is no option $1" ;;
    *) words+=("$1") ;;
  esac
  shift
done
[ ${#words[@]} -eq 2 ] || { usage >&2; exit 2; }
case_name=${words[0]} variant=${words[1]}
define_case "$case_name" "$variant" || wrong "there is no case $case_name $variant; see --list"
# Half of a shortened run is as much start as the whole one may have.
[ -z "$seconds_asked" ] || { [ "$skip" -le $((seconds_asked / 2)) ] || skip=$((seconds_asked / 2)); seconds=$seconds_asked; }
[ -z "$skip_asked" ] || skip=$skip_asked
[ "$skip" -lt "$seconds" ] || wrong "nothing is left of $seconds s without the first $skip"

keep_traces() {
  [ -n "$keep" ] || return 0
  mkdir -p "$keep" && cp -r "$dir"/. "$keep"/
  cp /run/netlab/hosts/*/var/lib/hawser/*/log "$keep"/client.log 2>/dev/null || true
}

# In one piece, so that this file may be edited while it runs.
{
e2e_begin "${arguments[@]}"
trap keep_traces EXIT
bars_lab
valid=true
# What a run prints goes to the log: the one line is the result.
exec 3>&1 >"$dir/steps.log"
netlab_measure "measure_$kind" || case $? in 75) valid=false ;; *) fail "the measurement: exit $?" ;; esac
exec >&3

report_case
}
