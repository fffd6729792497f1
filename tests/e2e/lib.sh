# shellcheck shell=bash
# What every end-to-end test uses: a server and clients in netlab, the shipped programs with folders of their own, checks.
#
#   . "$(dirname "$0")/lib.sh"
#   e2e_begin "$@"                      # first of all: runs the test below netlab's isolation, makes the folder $dir
#   lab links=2 rate=20M,30M            # netlab_up, with two links by default
#   start_server; enrol home laptop; up home
#   expect 'the server answers' in_client ping -c 1 "$(inner_server4)"
#   e2e_end
#
# netlab's hosts have an /etc, /run and /var/lib/hawser of their own, so the programs run with their default folders.
# Checks end the test at the first failure and show the logs' tails. in_client, in_server, on HOST, link_down N and the like
# are netlab's (tests/netlab/README.md).
set -u -o pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
programs=${HAWSER_BIN:-$project/build/bin}
# The emulator must be in time: never the one that the sanitizers slow down.
[ ! -x "$project/build/bin/hawser-netem" ] || HAWSER_BIN=$project/build/bin
. "$project/tests/netlab/lib.sh"
PATH=$programs:$PATH

# ---- Outcome -----------------------------------------------------------------------------------------------------------

# What was measured while the emulator was late, in all its runs, and until the next step: what checks find about that is no verdict.
late=
# All such measurements of this test.
late_ones=
step() {
  late=
  printf -- '-- %s\n' "$*"
}
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  show_logs >&2
  [ -z "$late" ] || netlab_unjudged missed "$late: $*"
  exit 1
}
skip() {
  printf 'SKIPPED: %s\n' "$*"
  exit 77
}
# expect WHAT COMMAND..: the command must succeed.
expect() {
  local what=$1
  shift
  step "$what"
  "$@" || fail "$what: exit $? of: $*"
}
# refuse WHAT COMMAND..: the command must fail.
refuse() {
  local what=$1
  shift
  step "$what"
  if "$@"; then fail "$what: succeeded: $*"; fi
}
# expect_exit CODE COMMAND..: the command must exit with CODE. Its output is left in $output.
expect_exit() {
  local code=$1 got=0
  shift
  output=$("$@" 2>&1) || got=$?
  [ "$got" -eq "$code" ] || fail "exit $got instead of $code of: $*
$output"
}
# expect_equal WHAT WANTED GOT
expect_equal() { [ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"; }
# expect_match WHAT PATTERN TEXT: an extended regular expression.
expect_match() { grep -qE -- "$2" <<<"$3" || fail "$1: no match for '$2' in: $3"; }
# measured FUNCTION ARGUMENT..: netlab_measure. Without a valid run the test goes on to its checks, and ends without a verdict:
# all that the last run leaves is whether it held the bars although the emulator was late.
measured() {
  local status=0
  late=
  netlab_measure "$@" || status=$?
  if [ "$status" -eq 75 ]; then late="$*" late_ones+="${late_ones:+, }$*" status=$NETLAB_STATUS; fi
  [ "$status" -eq 0 ] || fail "$*: not as it must be"
}
# wait_for SECONDS WHAT COMMAND..: tries the command every 0.1 s.
wait_for() {
  local limit=$(($(date +%s%N) / 1000000 + $1 * 1000)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $(($(date +%s%N) / 1000000)) -lt "$limit" ] || fail "waited in vain for: $what"
    sleep 0.1
  done
}

show_logs() {
  local log
  [ -n "${dir:-}" ] || return 0
  for log in "$dir"/*.log /run/netlab/hosts/*/var/lib/hawser/*/log; do
    [ -s "$log" ] || continue
    printf -- '---- %s\n' "${log#/run/netlab/}"
    tail -n "${E2E_LOG_LINES:-40}" "$log"
  done
}

# ---- The lab -----------------------------------------------------------------------------------------------------------

# e2e_begin "$@": goes below an isolation of its own (skips where there can be none) and makes the test's folder $dir, which
# all hosts see.
e2e_begin() {
  [ "$(id -u)" -eq 0 ] || skip 'needs root'
  [ -c /dev/net/tun ] || skip 'there is no /dev/net/tun'
  HAWSER_BIN=$programs netlab_enter "$@"
  dir=/run/netlab/e2e
  mkdir -p "$dir" || exit 1
}

# e2e_end: the last line of a test. The daemons end without an error, and no sanitizer had anything to say.
e2e_end() {
  late=
  [ -z "${server_pid:-}" ] || stop_server
  local found
  found=$(grep -lE 'ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:' "$dir"/*.log /run/netlab/hosts/*/var/lib/hawser/*/log 2>/dev/null)
  [ -z "$found" ] || fail "a sanitizer found something, see $found"
  [ -z "$late_ones" ] || netlab_unjudged held "$late_ones"
  printf 'ok\n'
}

# lab KEY=VALUE..: netlab_up.
lab() { netlab_up "$@" || fail 'the lab did not come up'; }

# ---- The programs --------------------------------------------------------------------------------------------------------

# vpn_server ARGUMENT..: vpn-server on the server.
vpn_server() { on server "$programs/vpn-server" "$@"; }

# vpn COMMAND ARGUMENT..: a client's command (up, down, status, join, key) on the host $CLIENT.
CLIENT=${CLIENT:-client}
vpn() {
  local command=$1
  shift
  on "$CLIENT" "$programs/vpn-$command" "$@"
}

# as CLIENT FUNCTION ARGUMENT..: the helpers below for another client: as client2 up home
as() {
  local CLIENT=$1
  shift
  "$@"
}

# init_server [ARGUMENT..]: writes the configuration; unless --endpoint is given both families of the first address are announced.
init_server() {
  local endpoints=()
  case " $* " in
    *' --endpoint '*) ;;
    *) endpoints=(--endpoint "$SERVER4:443" --endpoint "[$SERVER6]:443") ;;
  esac
  vpn_server init --no-start "${endpoints[@]}" "$@" >>"$dir/server-init.log" 2>&1 || fail "vpn-server init: exit $?"
}

# run_server: starts the daemon ($server_pid) and waits until it answers.
run_server() {
  touch "$dir/server.log"
  spawn_on server "$dir/server-$(date +%s%N).log" "$programs/vpn-server" run
  server_pid=$SPAWNED
  wait_for 10 'the server to answer on its control socket' vpn_server status
}

start_server() {
  init_server "$@"
  run_server
}

# stop_server: the daemon must end by itself and without an error.
stop_server() {
  local code=0
  kill -TERM "$server_pid" 2>/dev/null || fail 'the server is not running any more'
  wait "$server_pid" || code=$?
  server_pid=
  [ "$code" -eq 0 ] || fail "the server ended with exit $code"
}

# invite USER [ARGUMENT..]: prints an invite.
invite() { vpn_server invite "$@" 2>>"$dir/server-cli.log" || fail "vpn-server invite $1: exit $?"; }

# enrol PROFILE USER: an invite piped into vpn-join on $CLIENT.
enrol() { invite "$2" | vpn join "$1" - >>"$dir/$CLIENT-join.log" 2>&1 || fail "vpn-join $1 on $CLIENT: exit $?"; }

# set_key PROFILE KEY VALUE: edits a line of the profile that vpn-join wrote, e.g. set_key home route '["10.9.0.0/16"]'.
set_key() { on "$CLIENT" sed -i -E "s|^($2) *=.*|\\1 = $3|" "/etc/hawser/$1.toml"; }

# set_offload VALUE [END..]: [advanced] offload in the configuration of the server, of the client's profile home, or of both; from
# their next start on.
set_offload() {
  local value=$1 end file
  shift
  [ $# -gt 0 ] || set -- server client
  for end in "$@"; do
    case $end in server) file=/etc/hawser/server.toml ;; client) file=/etc/hawser/home.toml ;; esac
    on "$end" sh -c "sed -i '/^\[advanced\]/,/^offload/d' $file; printf '[advanced]\noffload = %s\n' '$value' >>$file"
  done
}

# expect_no_offloads: neither the client of the profile home nor the server uses one.
expect_no_offloads() {
  local any='.offload | [."udp-gso", ."udp-gro", ."tun-tso", ."tun-uso"] | any'
  expect_equal 'offloads in use (client, server)' 'false false' "$(status home "$any") $(server_status "$any")"
}

# up PROFILE [ARGUMENT..]: must connect. down PROFILE: must end without an error.
up() { vpn up "$@" >>"$dir/$CLIENT-up.log" 2>&1 </dev/null || fail "vpn-up $1 on $CLIENT: exit $?"; }
down() { vpn down "$@" >>"$dir/$CLIENT-down.log" 2>&1 </dev/null || fail "vpn-down $1 on $CLIENT: exit $?"; }

# status PROFILE FILTER: jq's answer about the client's status. server_status FILTER: about the server's.
status() { vpn status "$1" --json | jq -r "$2"; }
server_status() { vpn_server status --json | jq -r "$1"; }
# has_status PROFILE FILTER: true when jq's filter is (for wait_for and expect).
has_status() { vpn status "$1" --json | jq -e "$2" >/dev/null; }
has_server_status() { vpn_server status --json | jq -e "$1" >/dev/null; }
# all_active PROFILE N: N paths are active.
all_active() { has_status "$1" "[.paths[] | select(.state == \"active\")] | length == $2"; }

# inner_server4, inner_server6: the server's own addresses inside the tunnel.
inner_server4() { on server ip -4 -o address show dev hawser-srv | awk '{ sub("/.*", "", $4); print $4; exit }'; }
inner_server6() { on server ip -6 -o address show dev hawser-srv scope global | awk '{ sub("/.*", "", $4); print $4; exit }'; }
# inner4 PROFILE, inner6 PROFILE: the client's.
inner4() { status "$1" '.tunnel.addresses[] | select(contains(":") | not) | sub("/.*"; "")'; }
inner6() { status "$1" '.tunnel.addresses[] | select(contains(":")) | sub("/.*"; "")'; }

# net_state HOST: rules, routes, interfaces and nftables, without counters, expiry times and handles: what vpn-down and
# vpn-up --cleanup must leave as it was.
net_state() {
  on "$1" sh -c 'ip rule; ip -6 rule; ip route show table all; ip -6 route show table all; ip -o link show 2>/dev/null | cut -d: -f2; nft -s list ruleset' |
    sed -E 's/ expires [0-9]+sec//; s/ (packets|bytes) [0-9]+//g; s/ # handle [0-9]+//; s/[[:space:]]+$//' | sort
}
