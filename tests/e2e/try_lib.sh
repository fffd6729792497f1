# shellcheck shell=bash
# For the tests of deploy/try.sh: what it may leave on the machine (nothing), and how its outcome is judged.
set -u -o pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  [ ! -s "${log:-}" ] || tail -n 60 "$log" >&2
  exit 1
}
skip() { printf 'SKIPPED: %s\n' "$*"; exit 77; }
step() { printf -- '-- %s\n' "$*"; }

# What a demonstration could leave: interfaces, namespaces, mounts, rules, routes, nftables, processes of ours, files.
machine_state() {
  ip -o link show | cut -d: -f2
  ip netns list
  ip rule
  ip route show table all | grep -v cache
  nft -s list ruleset 2>/dev/null | sed -E 's/ (packets|bytes) [0-9]+//g'
  grep -vE ' /(proc|sys)/' /proc/self/mounts | sort
  ls -d /etc/hawser /run/hawser /run/netlab /run/netns /var/lib/hawser 2>/dev/null
  find /tmp -maxdepth 1 -iname '*hawser*' -o -maxdepth 1 -iname '*netlab*' | sort
  sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding
}
# Programs of the demonstration that still run, by their command line; PROJECT tells one clone's from another's.
leftover_processes() { pgrep -af -- "$1/(build/bin/|deploy/try.sh)" | grep -v pgrep; }

# expect_nothing_left BEFORE PROJECT: within 5 s all is as it was.
expect_nothing_left() {
  local i
  for ((i = 0; i < 50; i++)); do
    [ -n "$(leftover_processes "$2")" ] || break
    sleep 0.1
  done
  [ -z "$(leftover_processes "$2")" ] || fail "still running: $(leftover_processes "$2")"
  local after
  after=$(machine_state)
  [ "$after" = "$1" ] || fail "it left something: $(diff <(printf '%s\n' "$1") <(printf '%s\n' "$after"))"
}

# expect_table LOG: the result that a newcomer should see.
expect_table() {
  local row
  for row in 'link1 alone' 'link2 alone' 'the sum of these two' 'both together' 'both, while link2 was dead' 'both, from the moment it was back' \
    'longest pause when link2 died' 'the connection held; checksum right' 'link1 carried' 'link2 carried' 'Nothing is left but'; do
    grep -q "$row" "$1" || fail "the output has no '$row'"
  done
  grep -qE '^\[[0-9]+:[0-9]{2}\] ' "$1" || fail 'the stages do not show the time'
}
