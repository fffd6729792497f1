# What netlab's own tests share: checks that print one line each, and cases repeated when the emulator was late.
failures=0
unjudged=

skip_unless_isolated() {
  if [ -n "${NETLAB_INSIDE:-}" ] || netlab_can_isolate; then return; fi
  echo "SKIPPED: namespaces are not permitted here (user $(id -u))"
  if [ -n "${CI:-}" ]; then exit 1; fi
  exit 77
}

# eventually [!] COMMAND...: within five seconds.
eventually() {
  local negate=no tries
  if [ "$1" = '!' ]; then negate=yes; shift; fi
  for tries in {1..50}; do
    if "$@"; then
      if [ $negate = no ]; then return 0; fi
    elif [ $negate = yes ]; then
      return 0
    fi
    sleep 0.1
  done
  return 1
}

quietly() { "$@" >/dev/null 2>&1; }

_check_result() { # PASSED TEXT
  if [ "$1" = yes ]; then
    echo "  ok: $2"
  else
    echo "  FAILED: $2"
    failures=$((failures + 1))
  fi
}

# check TEXT [!] COMMAND...
check() {
  local text=$1 wanted=0 status=0
  shift
  if [ "$1" = '!' ]; then wanted=1; shift; fi
  "$@" || status=1
  if [ $status = $wanted ]; then _check_result yes "$text"; else _check_result no "$text"; fi
}
check_equal() { # TEXT VALUE WANTED
  if [ "$2" = "$3" ]; then _check_result yes "$1: $2"; else _check_result no "$1: $2 instead of $3"; fi
}
check_within() { # TEXT VALUE WANTED SHARE% [OR ABSOLUTE]
  if awk "BEGIN { w = $3; d = ${2:-null} - w; if (d < 0) d = -d; t = w * ${4%\%} / 100; if (t < ${5:-0}) t = ${5:-0}; exit !(d <= t) }"; then
    _check_result yes "$1: $2"
  else
    _check_result no "$1: ${2:-nothing} is not within $4${5:+ or $5} of $3"
  fi
}
check_above() { # TEXT VALUE LOWEST [HIGHEST; -1 is none]
  if awk "BEGIN { h = ${4:--1}; exit !(${2:-null} >= $3 && (h < 0 || ${2:-null} <= h)) }"; then
    _check_result yes "$1: $2"
  else
    _check_result no "$1: ${2:-nothing} is not between $3 and ${4:-anything}"
  fi
}

# json_field a.b < JSON: a number of one of our tools' flat JSON lines, without needing jq.
json_field() {
  local name=${1##*.} group=""
  if [ "$name" != "$1" ]; then group="\"${1%.*}\":{[^}]*"; fi
  sed -n "s/.*$group\"$name\":\([-0-9.]*\).*/\1/p"
}
field() { json_field "$1" <<< "$result"; }
share_lost() { awk "BEGIN { print 1 - $(field received) / $(json_field sent <<< "$sent") }"; }

# measured_case FUNCTION: what it finds wrong counts only when the emulator was on time; else it runs again, at once because it is
# short, three times more at most. What a late emulator did right it does right.
measured_case() {
  local attempt before
  for attempt in 1 2 3 4; do
    [ "$attempt" = 1 ] || netlab_calm 1
    echo "$1 (at $SECONDS s):"
    before=$failures
    plain
    link_reset
    "$1"
    if [ $failures = "$before" ]; then return; fi
    if netlab_valid; then
      # The emulator was on time, but was the machine able to send and receive? The last run decides.
      [ "$attempt" -lt 4 ] || return
      echo "  on a busy machine the measuring ends may be late as well: again"
    fi
    failures=$before
  done
  echo "  $1: no valid run"
  unjudged="$unjudged $1"
}

simple_case() {
  echo "$1 (at $SECONDS s):"
  plain
  "$1"
}

finish() {
  if [ $failures -gt 0 ]; then
    echo "$failures checks FAILED"
    exit 1
  fi
  [ -z "$unjudged" ] || netlab_unjudged missed "${unjudged# }"
  echo "all checks passed"
}
