#!/usr/bin/env bash
# What an idle client costs (P16): one path that carries and one that stands by. Bytes on the standby path, as the gateway counts
# them, and how often the daemon wakes: for its timers and for what comes, and for nothing else.
# timeout: 180
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=2 family=4 rate=50M delay=10ms
start_server --endpoint "$SERVER4:443"
enrol home laptop
printf '\n[[path]]\nmatch = { interface = "link2" }\npriority = "backup"\n' >>"$(host_files client)/etc/hawser/home.toml"
set_key home route '["10.9.0.0/16"]'
up home
for n in 1 2; do
  on gw$n nft -f - <<'X' || fail 'counters at the gateway'
table inet cost {
  counter tunnel {}
  chain forward {
    type filter hook forward priority 0;
    udp dport 443 counter name tunnel
    udp sport 443 counter name tunnel
  }
}
X
done
# counted N packets|bytes
counted() { on "gw$1" nft -j list counter inet cost tunnel | jq ".nftables[] | .counter? // empty | .$2"; }
stands_by() { has_status home '[.paths[] | select(.interface == "link2") | .state] == ["standby"]'; }
wait_for 5 'the backup to stand by' stands_by
expect 'the tunnel carries' on client ping -q -c 3 -i 0.2 -W 1 "$(inner_server4)" >/dev/null
daemon=$(on client ss -Hlxp src unix:/run/hawser/home/control.sock | grep -oE 'pid=[0-9]+' | head -1 | cut -d= -f2)
[ -n "$daemon" ] || fail 'which process is the daemon?'
wakes() { awk '/^voluntary_ctxt_switches/ { print $2 }' "/proc/$daemon/status"; }

step 'one idle minute'
sleep 25 # traffic is no longer recent, the paths' MTU is found
bytes=$(counted 2 bytes) datagrams=$(($(counted 1 packets) + $(counted 2 packets))) woken=$(wakes)
sleep 60
bytes=$(($(counted 2 bytes) - bytes)) datagrams=$(($(counted 1 packets) + $(counted 2 packets) - datagrams)) woken=$(($(wakes) - woken))
printf '   standby path: %s bytes a minute (bar 1000); %s datagrams on both paths; the daemon woke %s times\n' "$bytes" "$datagrams" "$woken"
[ "$bytes" -gt 0 ] || fail 'the standby path is not kept warm'
[ "$bytes" -le 1000 ] || fail "the standby path cost $bytes bytes a minute"
# Each datagram is one reason at most: the timer that sends it, or its arrival. A few timers send nothing.
[ "$woken" -le $((datagrams + 6)) ] || fail "the daemon woke $woken times for $datagrams datagrams"
expect 'it is still there' stands_by
expect 'the tunnel carries at once' on client ping -q -c 1 -W 1 "$(inner_server4)" >/dev/null
down home
e2e_end
