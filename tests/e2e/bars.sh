#!/usr/bin/env bash
# One run of a few bars with kernel TCP: P1 and P3 down, P6, P15. Held to floors that noise does not break (10 % below a rate's bar,
# 1.5 times a time's); `tests/run.sh bars` asserts the bars themselves, on medians. A run that was never on time is no pass.
# parts: P1-down P3-down P6-p1-links P15-alive P15-first-dead P15-first-deaf
# timeout: 900
set -u
[ "$(id -u)" -eq 0 ] || { printf 'SKIPPED: needs root\n'; exit 77; }
failed=0 unjudged=0
# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(sed -n 's/^# parts: //p' "$0")
for wanted; do
  code=0
  "$(dirname "$0")/../netlab/bars.sh" "${wanted%%-*}" "${wanted#*-}" --floor || code=$?
  case $code in 0) ;; 75) unjudged=1 ;; 77) exit 77 ;; *) failed=1 ;; esac
done
[ "$failed" -eq 0 ] || exit 1
[ "$unjudged" -eq 0 ] || exit 75
printf 'ok\n'
