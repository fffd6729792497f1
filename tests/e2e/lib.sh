# shellcheck shell=bash
# What every end-to-end test uses: a server and clients in netlab, the shipped programs with folders of their own, checks.
# A test is:  . "$(dirname "$0")/lib.sh"; e2e_begin "$@"; e2e_topology; start_server; enrol home laptop; up home; expect ...
# Checks end the test at the first failure and show the logs' tails; e2e_begin's sandbox takes everything away at the end.
set -u -o pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
HAWSER_BIN=${HAWSER_BIN:-$project/build/bin}
export HAWSER_BIN
. "$project/tests/netlab/lib.sh"

# ---- Outcome -----------------------------------------------------------------------------------------------------------

step() { printf -- '-- %s\n' "$*"; }
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  show_logs >&2
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
  for log in "$dir"/*.log "$dir"/*/state/*/log; do
    [ -s "$log" ] || continue
    printf -- '---- %s\n' "${log#"$dir"/}"
    tail -n "${E2E_LOG_LINES:-40}" "$log"
  done
}

# ---- The lab -----------------------------------------------------------------------------------------------------------

# e2e_begin "$@": goes below a sandbox of its own (skips where that is forbidden) and makes the test's folder $dir.
e2e_begin() {
  [ "$(id -u)" -eq 0 ] || skip 'needs root'
  [ -c /dev/net/tun ] || skip 'there is no /dev/net/tun'
  netlab_enter "$@"
  dir=$(mktemp -d /run/e2e.XXXXXX) || exit 1
  export dir
}

# in_ns NAMESPACE COMMAND..: only the network is another, so that folders and pids stay the test's own.
in_ns() { netlab_in "$@"; }

# ---- The programs: folders below $dir/server and $dir/CLIENT, both in one sandbox -----------------------------------------

# folders WHO: the options that keep instances apart.
folders() { printf '%s\n' --config-dir "$dir/$1/etc" --state-dir "$dir/$1/state" --run-dir "$dir/$1/run"; }

# vpn_server ARGUMENT..: vpn-server in the server's namespace.
vpn_server() {
  local options
  mapfile -t options < <(folders server)
  in_ns server "$HAWSER_BIN/vpn-server" "${options[@]}" "$@"
}

# vpn COMMAND ARGUMENT..: a client's command (up, down, status, join, key) in the namespace of $CLIENT.
CLIENT=${CLIENT:-client}
vpn() {
  local command=$1 options
  shift
  mapfile -t options < <(folders "$CLIENT")
  in_ns "$CLIENT" "$HAWSER_BIN/vpn-$command" "${options[@]}" "$@"
}

# on CLIENT FUNCTION ARGUMENT..: the same helpers for another client: on client2 up home
on() {
  local CLIENT=$1
  shift
  "$@"
}

# init_server [ARGUMENT..]: writes the configuration; by default every address of the lab's server is announced.
init_server() {
  mkdir -p "$dir/server"
  local endpoints=() address
  case " $* " in
    *' --endpoint '*) ;;
    *) for address in "${server_endpoints[@]}"; do endpoints+=(--endpoint "$address"); done ;;
  esac
  vpn_server init --no-start "${endpoints[@]}" "$@" >>"$dir/init.log" 2>&1 || fail "vpn-server init: exit $?"
}

# run_server: starts the daemon ($server_pid) and waits until it answers.
run_server() {
  local options
  mapfile -t options < <(folders server)
  in_ns server "$HAWSER_BIN/vpn-server" "${options[@]}" run >>"$dir/server.log" 2>&1 </dev/null &
  server_pid=$!
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
  [ "$code" -eq 0 ] || fail "the server ended with exit $code"
}

# invite USER [ARGUMENT..]: prints an invite.
invite() { vpn_server invite "$@" 2>>"$dir/server-cli.log" || fail "vpn-server invite $1: exit $?"; }

# enrol PROFILE USER: an invite piped into vpn-join by $CLIENT.
enrol() {
  mkdir -p "$dir/$CLIENT"
  invite "$2" | vpn join "$1" - >>"$dir/$CLIENT-join.log" 2>&1 || fail "vpn-join $1: exit $?"
}

# up PROFILE [ARGUMENT..]: must connect. down PROFILE: must end without an error.
up() { vpn up "$@" >>"$dir/$CLIENT-up.log" 2>&1 </dev/null || fail "vpn-up $1 on $CLIENT: exit $?"; }
down() { vpn down "$@" >>"$dir/$CLIENT-down.log" 2>&1 </dev/null || fail "vpn-down $1 on $CLIENT: exit $?"; }

# status PROFILE FILTER: jq's answer about the client's status. server_status FILTER: about the server's.
status() { vpn status "$1" --json | jq -r "$2"; }
server_status() { vpn_server status --json | jq -r "$1"; }
# has_status PROFILE FILTER: true when jq's filter is (for wait_for).
has_status() { vpn status "$1" --json | jq -e "$2"; }
has_server_status() { vpn_server status --json | jq -e "$1"; }

# inner_server4, inner_server6: the server's own addresses inside the tunnel.
inner_server4() { in_ns server ip -4 -o address show dev hawser-srv | awk '{ sub("/.*", "", $4); print $4; exit }'; }
inner_server6() { in_ns server ip -6 -o address show dev hawser-srv scope global | awk '{ sub("/.*", "", $4); print $4; exit }'; }

# net_state NAMESPACE: rules, routes, addresses' interfaces and nftables, without counters, expiry times and handles: what
# vpn-down and --cleanup must leave as it was.
net_state() {
  in_ns "$1" sh -c 'ip rule; ip -6 rule; ip route show table all; ip -6 route show table all; ip -o link show | cut -d: -f2; nft -s list ruleset' |
    sed -E 's/ expires [0-9]+sec//; s/ (packets|bytes) [0-9]+//g; s/ # handle [0-9]+//; s/ proto kernel (.*) pref medium/ proto kernel \1/' |
    grep -vE 'cache|^ff00::|anycast ' | sort
}
