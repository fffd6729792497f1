#!/usr/bin/env bash
# deploy/try.sh is interrupted by Ctrl-C, terminated and killed, early and in mid-download: nothing is left each time.
# timeout: 400
. "$(dirname "$0")/try_lib.sh"
[ "$(id -u)" -eq 0 ] || skip 'needs root'
[ -c /dev/net/tun ] || skip 'there is no /dev/net/tun'
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
before=$(machine_state)

# interrupt SIGNAL WHOM TEXT: starts it in a session of its own, as a terminal would, waits for TEXT in its output, signals
# the whole foreground group (as Ctrl-C does) or the script alone, and looks at what is left.
interrupt() {
  local signal=$1 whom=$2 text=$3 code=0 pid i
  step "$signal to the $whom at: $text"
  # The shell starts background commands with SIGINT ignored; env takes that back.
  setsid env --default-signal=INT "$project/deploy/try.sh" </dev/null >"$log" 2>&1 &
  pid=$!
  for ((i = 0; i < 1200; i++)); do
    grep -q -- "$text" "$log" && break
    kill -0 "$pid" 2>/dev/null || fail "it ended before: $text"
    sleep 0.1
  done
  grep -q -- "$text" "$log" || fail "it never said: $text"
  sleep 1
  if [ "$whom" = group ]; then kill -s "$signal" -- "-$pid"; else kill -s "$signal" "$pid"; fi
  wait "$pid" 2>/dev/null || code=$?
  [ "$code" -ne 0 ] || fail "$signal: exit 0"
  if [ "$signal" = INT ]; then
    [ "$code" -eq 130 ] || fail "Ctrl-C: exit $code instead of 130"
    grep -q 'interrupted; nothing is left' "$log" || fail 'Ctrl-C: it does not say so'
  fi
  expect_nothing_left "$before" "$project"
}

interrupt INT group 'one download over link1 alone'
interrupt KILL script 'one download over link1 alone'
interrupt KILL script 'two links: link1'
interrupt TERM script 'one download over both'
interrupt KILL script 'link2 falls silent'
interrupt INT group 'enrolment'
printf 'ok\n'
