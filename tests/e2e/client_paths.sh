#!/usr/bin/env bash
# Which links are used and how: outer IPv4 and IPv6 times inner IPv4 and IPv6, a first link that is dead at the start, --only,
# --without, --set with and without --save, a link without default route, links that go and come, and what status says of it.
# timeout: 240
# sanitize: yes
# beside others: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=3 rate=50M delay=5ms,10ms,15ms nodefault=3
start_server
enrol home laptop
reaches() { on client ping -q -c 1 -W 3 "$1" >/dev/null; }
server4=$(inner_server4) server6=$(inner_server6)
interfaces_with() { status home "[.paths[] | select($1) | .interface] | unique | join(\" \")"; }

step 'outer IPv4 and IPv6 x inner IPv4 and IPv6'
for outer in 4 6; do
  other=$((10 - outer))
  for n in 1 2; do on client ip -"$other" addr flush dev "link$n" scope global; done
  up home
  wait_for 5 'both links' all_active home 2
  pattern=$([ $outer = 4 ] && echo '^[0-9.]+:443$' || echo '^[[][0-9a-f:]+[]]:443$')
  expect "all paths are outer IPv$outer" has_status home "[.paths[] | select(.state == \"active\") | .remote | test(\"$pattern\")] | all"
  expect "inner IPv4 in outer IPv$outer" reaches "$server4"
  expect "inner IPv6 in outer IPv$outer" reaches "$server6"
  expect "inner IPv4 behind the server in outer IPv$outer" reaches "$INET4"
  expect "inner IPv6 behind the server in outer IPv$outer" reaches "$INET6"
  down home
  for n in 1 2; do link_up $n; done
done

step 'the first link is dead at the start'
link_blackhole 1 on
began=$(date +%s%N)
up home
took=$((($(date +%s%N) - began) / 1000000))
step "vpn-up took $took ms"
[ "$took" -lt 2000 ] || fail "vpn-up took $took ms with the first link dead"
expect 'the server answers' reaches "$server4"
expect_equal 'active' 'link2' "$(interfaces_with '.state == "active"')"
link_blackhole 1 off
wait_for 20 'the first link to join' all_active home 2

step 'a link without default route says so, and works with a gateway'
expect_equal 'no-route' 'link3' "$(interfaces_with '.state == "unavailable" and .reason == "no-route"')"
expect 'health' has_status home '.health[] | select(.code == "no-route" and .interface == "link3") | .fix | test("--set link3.gateway=")'
expect_exit 0 vpn up home --set "link3.gateway=$(gateway_address4 3)"
wait_for 5 'the third link' all_active home 3
expect_exit 5 vpn up home --set link3.priority=sometimes
expect_exit 5 vpn up home --set link3.colour=blue

step 'priorities, live'
expect_exit 0 vpn up home --set link2.priority=never
expect_match 'what changed' 'link2\.priority: always -> never \(until vpn-down' "$output"
wait_for 5 'link2 to go' has_status home '[.paths[] | select(.interface == "link2") | .state == "unavailable"] | all'
expect 'the server answers without it' reaches "$server4"
expect_exit 0 vpn up home --set link2.priority=backup
wait_for 5 'link2 to come back' has_status home '[.paths[] | select(.interface == "link2") | .state == "active" or .state == "standby"] | all'
expect_equal 'its role' backup "$(status home '[.paths[] | select(.interface == "link2") | .priority] | unique | join(" ")')"
on client sed -i '1i # a comment of mine' /etc/hawser/home.toml
expect_exit 0 vpn up home --set link2.priority=secondary --save
expect_match 'saved' 'saved' "$output"
expect_match 'comments are kept' '^# a comment of mine$' "$(on client cat /etc/hawser/home.toml)"
expect_match 'the entry' 'priority = "secondary"' "$(on client cat /etc/hawser/home.toml)"
down home
up home
expect_equal 'the saved role' secondary "$(status home '[.paths[] | select(.interface == "link2") | .priority] | unique | join(" ")')"

step 'scheduler and controller, live, at both ends'
serves() { [ "$(server_status '.users[0] | "\(.scheduler) \(.congestion)"')" = "$1" ]; }
expect_exit 0 vpn up home --set scheduler=ecf --set congestion=olia
expect_match 'what changed' 'scheduler: earliest -> ecf \(until vpn-down' "$output"
expect_match 'what changed' 'congestion: auto -> olia' "$output"
expect_equal 'the client' 'ecf olia' "$(status home '"\(.scheduler) \(.congestion)"')"
wait_for 2 'the server' serves 'ecf olia'
expect 'data passes' reaches "$server4"
expect_exit 0 vpn up home --set scheduler=auto --set mode=redundant --save
wait_for 2 'the server to send everything twice' serves 'redundant olia'
expect_match 'the file' 'mode = "redundant"' "$(on client cat /etc/hawser/home.toml)"
expect_exit 5 vpn up home --set scheduler=fastest
expect_exit 5 vpn up home --set mode=speed
expect_exit 0 vpn up home --set mode=auto --set congestion=auto --save
wait_for 2 'the server' serves 'earliest auto'

step 'links go and come'
link_down 1
wait_for 2 'link1 to be unavailable' has_status home '.paths[] | select(.interface == "link1") | .state == "unavailable" and .reason == "down"'
expect 'the server answers' reaches "$server4"
link_up 1
wait_for 3 'link1 to be back' has_status home '[.paths[] | select(.interface == "link1") | .state == "active"] | any'
link_unaddress 1
wait_for 2 'link1 to have no address' has_status home '.paths[] | select(.interface == "link1") | .state == "unavailable" and .reason == "no-address"'
expect 'the server answers' reaches "$server4"
link_up 1
wait_for 3 'link1 to be back' has_status home '[.paths[] | select(.interface == "link1") | .state == "active"] | any'
down home

step '--only and --without'
up home --only link2
expect_equal 'paths' 'link2' "$(interfaces_with 'true')"
down home
up home --without link2
expect_equal 'paths' 'link1' "$(interfaces_with '.state == "active"')"
down home
up home --only link1,no9 --timeout 5s
expect_equal 'a name that no interface has' 'not-found' "$(status home '.paths[] | select(.interface == "no9") | .reason')"
down home

step 'the status has every key'
up home --no-wait
wait_for 10 'the connection' has_status home '.state == "connected"'
expect_equal 'keys' 'cipher congestion drops health loss memory_bytes offload paths profile rate rtt_ms scheduler schema server since state tunnel' \
  "$(status home '[keys[]] | sort | join(" ")')"
expect_equal 'schema' hawser.status/1 "$(status home .schema)"
for key in id interface type metered priority state reason local remote public rtt_ms rtt_min_ms loss cwnd_bytes in_flight_bytes pacing_bps capacity_bps queue_ms mtu bottleneck_group rx_bytes tx_bytes reinjected_packets share; do
  expect_equal "every path has $key" true "$(status home "[.paths[] | has(\"$key\")] | all")"
done
expect_equal 'tunnel' 'addresses dns interface mtu restored_routes routes' "$(status home '[.tunnel | keys[]] | sort | join(" ")')"
expect_equal 'routes' '0.0.0.0/0 ::/0' "$(status home '.tunnel.routes | join(" ")')"
expect_match 'the MTU of the device' "mtu $(status home .tunnel.mtu) " "$(on client ip link show dev hawser0)"
expect_exit 0 vpn status
expect_match 'the table' '^link1 +ethernet +always +active' "$output"
expect_equal 'status for everyone' connected "$(on client setpriv --reuid=65534 --regid=65534 --clear-groups "$programs/vpn-status" home --json | jq -r .state)"
expect_exit 4 on client setpriv --reuid=65534 --regid=65534 --clear-groups "$programs/vpn-down" home
expect_exit 4 on client setpriv --reuid=65534 --regid=65534 --clear-groups "$programs/vpn-up" home --set link1.priority=never
down home
e2e_end
