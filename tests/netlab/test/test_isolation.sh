#!/usr/bin/env bash
# Two labs at once do not meet, and one that is killed in any way leaves no process, interface, namespace or file behind.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/check.sh"
skip_unless_isolated
netlab=$NETLAB_HOME/netlab
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export NETLAB_TEST_MARK
run=$$  # other runs of this test may be under way

# Processes of the lab carry the mark in their environment. Kernel threads and others' processes cannot be read.
marked() { grep -lzsx "NETLAB_TEST_MARK=$run-$1" /proc/[0-9]*/environ | sed 's|/proc/||; s|/environ||' | grep -vx "$$"; }
no_marked() { [ -z "$(marked "$1")" ]; }
# What a lab may not touch outside: interfaces, addresses, named namespaces, tables, mounts.
outside() { ip -o link; ip -o addr | grep -v "valid_lft [0-9]"; ls /run/netns 2>/dev/null; ls /etc/hawser 2>&1; cat /proc/self/mounts; }

# start_lab NAME [PREFIX...]: a lab in the background that pings for ever; LAB is its outermost process.
start_lab() {
  local name=$1
  shift
  NETLAB_TEST_MARK=$run-$name "$@" "$netlab" up links=2 delay=5ms nat=1 -- bash -c '
    ip netns list | wc -l > "$1/$2.namespaces"
    echo "$2" > /etc/hawser/name
    while "$0" on client ping -c1 -W1 198.51.100.1 >/dev/null; do cat /etc/hawser/name > "$1/$2.alive"; sleep 0.1; done' \
    "$netlab" "$scratch" "$name" </dev/null >"$scratch/$name.log" 2>&1 &
  LAB=$!
  disown
}
alive() { rm -f "$scratch/$1.alive"; eventually grep -qsx "$1" "$scratch/$1.alive"; }

lifetimes() { # PREFIX...: as this user
  local signal pid
  outside > "$scratch/before"
  start_lab one "$@"
  local one=$LAB
  start_lab two "$@"
  local two=$LAB
  check "the first lab works" alive one
  check "the second works at the same time" alive two
  check_equal "its namespaces: core, server, inet, client, two gateways" "$(cat "$scratch/two.namespaces")" 6
  kill -KILL $one
  check "kill -9 of one leaves no process of it" eventually no_marked one
  check "the other one goes on" alive two
  kill -TERM $two
  check "SIGTERM ends it whole" eventually no_marked two
  for signal in KILL TERM; do
    start_lab early "$@"
    pid=$LAB
    sleep 0.25  # while it is being built
    kill -$signal $pid
    check "SIG$signal while it comes up leaves nothing" eventually no_marked early
  done
  outside > "$scratch/after"
  check "nothing changed outside" diff "$scratch/before" "$scratch/after"
}

exit_codes() { # PREFIX...
  check_equal "the command's exit code comes through" "$("$@" "$netlab" up links=1 -- sh -c 'exit 42' </dev/null; echo $?)" 42
  check_equal "with standard input closed" "$("$@" "$netlab" up links=1 -- true <&-; echo $?)" 0
  local spaced="$scratch/a path with spaces"
  mkdir -p "$spaced" && cp -r "$NETLAB_HOME/lib.sh" "$NETLAB_HOME/netlab" "$spaced/" && chmod -R a+rX "$scratch"
  check "in a path with spaces" "$@" "$spaced/netlab" up links=1 -- true
  check_equal "a wrong option is refused" "$("$@" "$netlab" up bogus=1 -- true 2>&1)" "netlab: unknown option bogus=1"
  # Ctrl-C: the terminal's signal reaches the whole process group.
  NETLAB_TEST_MARK=$run-ctrl-c setsid --fork "$@" "$netlab" up links=1 -- sleep 60 </dev/null >/dev/null 2>&1
  if eventually some_sleep; then
    kill -INT -- "-$(ps_group)"
    check "Ctrl-C ends it" eventually no_marked ctrl-c
  else
    check "a lab to interrupt" false
  fi
}
some_sleep() { # the command itself, not those that carry it among their arguments
  local pid words
  for pid in $(marked ctrl-c); do
    mapfile -d '' words < "/proc/$pid/cmdline" && [ "${words[*]}" = "sleep 60" ] && return
  done 2>/dev/null
  return 1
}
ps_group() { local pid; pid=$(marked ctrl-c | sort -n | head -1); awk '{ print $5 }' "/proc/$pid/stat"; }

chmod 755 "$scratch"
echo "as user $(id -u):"
lifetimes
exit_codes
# Root also tries it as an ordinary user in a user namespace.
if [ "$(id -u)" = 0 ] && [ -z "${NETLAB_INSIDE:-}" ]; then
  ordinary=(setpriv --reuid 61234 --regid 61234 --clear-groups)
  if "${ordinary[@]}" bash -c '. "$0" && netlab_can_isolate && [ -x "$HAWSER_BIN/hawser-netem" ]' "$NETLAB_HOME/lib.sh"; then
    echo "as an ordinary user:"
    chmod 777 "$scratch"
    lifetimes "${ordinary[@]}"
    exit_codes "${ordinary[@]}"
  else
    echo "as an ordinary user: not possible here (user namespaces forbidden, or the build folder closed)"
  fi
fi
finish
