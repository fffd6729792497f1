#!/usr/bin/env bash
# Paths that are added and removed as fast as the kernel can tell of it, for a quarter of a minute: the daemon keeps neither memory nor
# descriptors of them, the tunnel carries all the time, and ending leaves the system as it was. (unit.session does the engine's
# part ten thousand times.)
# timeout: 120
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=8 rate=50M delay=5ms
start_server
enrol home laptop
before=$(net_state client)
up home
wait_for 5 'eight links' all_active home 8
daemon=$(on client ss -Hlxp src unix:/run/hawser/home/control.sock | grep -oE 'pid=[0-9]+' | head -1 | cut -d= -f2)
[ -n "$daemon" ] || fail 'which process is the daemon?'
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$daemon/status"; }
descriptors() { ls "/proc/$daemon/fd" | wc -l; }
newest() { status home '[.paths[].id] | max'; }

# churn SECONDS: the addresses of links 2 to 8 go and come.
churn() {
  local end=$(($(date +%s%N) + $1 * 1000000000)) n
  while [ "$(date +%s%N)" -lt "$end" ]; do
    for n in 2 3 4 5 6 7 8; do
      printf 'addr flush dev link%d scope global\n' $n
      sed "/^link set/d" "/run/netlab/links/$n"
    done | ip -n client -batch - || fail 'ip'
    sleep 0.11  # what comes is told after 100 ms, so that all of it is there
  done
}
spawn_on client "$dir/ping.log" ping -q -i 0.05 -c 360 -W 2 "$INET4"
ping=$SPAWNED
churn 3  # pools and tables reach their size
rss=$(resident) fds=$(descriptors) id=$(newest)
churn 11
added=$(($(newest) - id))
# Links that came and went so often are kept waiting for longer each time (flapping): working is enough.
works_by_all() { has_status home '[.paths[] | select(.state == "active" or .state == "standby") | .interface] | unique | length == 8'; }
wait_for 10 'eight links' works_by_all
sleep 1
grown=$(($(resident) - rss))
printf '   %d paths added and removed in 11 s: %d kB more memory (of %d), %d descriptors before, %d after\n' "$added" "$grown" "$rss" "$fds" "$(descriptors)"
[ "$added" -ge 300 ] || fail "only $added paths came and went"
[ "$grown" -le 2048 ] || fail "the daemon grew by $grown kB"
expect_equal 'descriptors' "$fds" "$(descriptors)"
wait "$ping" || fail "the ping: $(cat "$dir/ping.log")"
expect_match 'nothing is lost' ' 0% packet loss' "$(cat "$dir/ping.log")"
down home
expect_equal 'what vpn-down leaves' "$before" "$(net_state client)"
e2e_end
