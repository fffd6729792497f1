#!/usr/bin/env bash
# A link with IPv6 only, and a server that is known by IPv4 only: the network's translator is found by DNS whatever its prefix,
# or guessed, and used, by vpn-join and by vpn-up; another network's takes its place; also beside a link that has IPv4. Without
# a translator the status says what is missing.
# timeout: 120
# sanitize: yes
# beside others: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
command -v python3 >/dev/null || skip 'needs python3'
lab links=2 rate=20M delay=10ms
start_server --endpoint "$SERVER4:443"
for n in 1 2; do on client ip -"$([ $n = 1 ] && echo 4 || echo 6)" addr flush dev link$n scope global; done

# The translator at the first link's gateway; its own resolver is the client's. network TRANSLATES [NAMED]: from now on it
# translates by the one prefix, and its DNS names the other.
tools=$(dirname "$0")/tools translator='' resolver=''
network() {
  [ -z "$translator" ] || kill "$translator" "$resolver"
  [ -z "$translator" ] || wait "$translator" "$resolver" 2>/dev/null
  nsenter --net=/run/netns/gw1 -- python3 "$tools/nat64.py" translate nat64 "$1" &
  translator=$!
  nsenter --net=/run/netns/gw1 -- python3 "$tools/nat64.py" dns "$(gateway_address6 1)" ${2:+"$2"} &
  resolver=$!
  wait_for 5 'the translator' ip -n gw1 link show nat64
  ip -n gw1 -batch - <<X || fail 'routes at the gateway'
link set nat64 up
route add $1 dev nat64
route add 192.0.2.200/32 dev nat64
X
}
# The client comes into it: its link was away.
roam() {
  link_down 1
  network "$@"
  link_up 1
  on client ip -4 addr flush dev link1 scope global
}
remote() { status home '[.paths[] | select(.state == "active") | .remote] | sort | join(" ")'; }
goes_to() { [ "$(remote)" = "$1" ]; }
carries() { on client ping -q -c 2 -i 0.2 -W 2 "$(inner_server4)" >/dev/null; }
ip -n core route add 192.0.2.200/32 via "$(gateway_public4 1)" || fail 'a route in the core'
echo "nameserver $(gateway_address6 1)" >"$(host_files client)/etc/resolv.conf"

step 'without a translator'
on client ip link set link2 down
nsenter --net=/run/netns/gw1 -- python3 "$tools/nat64.py" dns "$(gateway_address6 1)" &
nameless=$!
invite laptop >"$dir/invite"
expect_exit 6 vpn join home "file:$dir/invite"
expect_match 'what is missing' 'IPv6 only, the server is known by IPv4, and the network.s DNS names no translator' "$output"
kill "$nameless"
wait "$nameless" 2>/dev/null

step 'with one of a prefix of its own, by vpn-join'
network 2001:db8:64:64::/64 2001:db8:64:64::/64
expect_exit 0 vpn join home "file:$dir/invite" --force
set_key home route '["10.9.0.0/16"]'

step 'by vpn-up'
up home
expect_equal 'the path' '[2001:db8:64:64:c6:3364:100:0]:443' "$(remote)"
expect_match 'what the server sees' '^192[.]0[.]2[.]200:' "$(server_status '.users[0].paths[] | select(.state == "active") | .remote')"
expect 'the tunnel carries' carries

step 'another network, another prefix'
roam 2001:db8:64:6500::/56 2001:db8:64:6500::/56
wait_for 10 'the path by the new prefix' goes_to '[2001:db8:64:65c6:33:6401::]:443'
expect 'the tunnel carries' carries

step 'a network whose DNS names none, but the well-known one works'
roam 64:ff9b::/96
wait_for 10 'the path by the well-known prefix' goes_to '[64:ff9b::c633:6401]:443'
expect 'the tunnel carries' carries
down home
rm -f "$(host_files client)/var/lib/hawser/home/endpoints"
up home
expect_equal 'from the start' '[64:ff9b::c633:6401]:443' "$(remote)"
expect_equal 'nothing is missing' '' "$(status home '[.paths[] | select(.interface == "link1" and .state == "unavailable")] | map(.reason) | join(" ")')"

step 'beside a link with IPv4'
link_up 2
on client ip -6 addr flush dev link2 scope global
wait_for 5 'both links' all_active home 2
expect_equal 'server addresses' "$SERVER4:443 [64:ff9b::c633:6401]:443" "$(remote)"
down home
kill "$translator" "$resolver"
e2e_end
