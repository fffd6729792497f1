#!/usr/bin/env bash
# Several addresses and several gateways of one family on one interface: two routers on one cable are two paths, by an address
# each or by the same one; of several addresses behind one router the one that works is found; deprecated IPv6 addresses go on
# as long as they are in use.
# timeout: 150
# sanitize: yes
# beside others: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=2 rate=20M delay=10ms nat=1,2
# The second router comes to the first one's cable: what was gw1's interface is a bridge now, gw2 has a port in it. Both drop
# foreign sources (rp_filter; IPv6 by their routes).
on client ip link set link2 down
ip -n gw1 -batch - <<X || fail 'a second router'
link add sw0 type bridge
link set lan master sw0
link add port type veth peer name lan1 netns gw2
link set port master sw0
link set port up
link set sw0 address 02:00:00:00:01:01
addr flush dev lan
addr add $(gateway_address4 1)/24 dev sw0
addr add $(gateway_address6 1)/64 dev sw0 nodad
link set sw0 up
X
ip -n gw2 -batch - <<X || fail 'a second router'
link set lan down
link set lan1 up
addr add 10.77.0.1/24 dev lan1
addr add 192.168.101.254/24 dev lan1
addr add $(gateway_address6 2)/64 dev lan1 nodad
X
on gw1 sysctl -q net.ipv4.conf.sw0.rp_filter=1
on gw2 sysctl -q net.ipv4.conf.lan1.rp_filter=1
for n in 1 2; do on gw$n nft add table inet dead; done
# kill_by N [WORDS]: what comes to gateway N for the server (from an address) is dropped. heal N
kill_by() {
  on "gw$1" nft -f - <<X || fail 'nft at the gateway'
table inet dead {
  chain forward {
    type filter hook forward priority 0;
    oifname "wan" ${2:-} udp dport 443 drop
  }
}
X
}
heal() { on "gw$1" nft flush table inet dead; }

start_server --endpoint "$SERVER4:443" --endpoint "[$SERVER6]:443"
enrol home laptop
before=
# fresh LINES: link1 with only these addresses and routes.
fresh() {
  on client ip addr flush dev link1 scope global
  while on client ip -6 route del default dev link1 2>/dev/null; do :; done
  on client ip -batch - || fail 'ip at the client'
  before=$(net_state client)
}
locals() { status home '[.paths[] | select(.state == "active") | .local | sub(":[0-9]+$"; "")] | sort | join(" ")'; }
# The client's public addresses as the server sees them, of what is active there.
publics() { server_status '[.users[0].paths[] | select(.state == "active") | .remote | sub(":[0-9]+$"; "")] | sort | join(" ")'; }
sees() { [ "$(publics)" = "$*" ]; }
uses() { [ "$(locals)" = "$*" ]; }
path_id() { status home "[.paths[] | select(.state == \"active\" and (.local | startswith(\"$1\"))) | .id] | join(\" \")"; }
both_publics="$(gateway_public4 1) $(gateway_public4 2)"
carries() { on client ping -q -c 2 -i 0.2 -W 2 "$INET4" >/dev/null; }
ends() {
  down home
  expect_equal 'what vpn-down leaves' "$before" "$(net_state client)"
}

step 'two addresses, each with its own router'
fresh <<X
addr add 192.168.101.2/24 dev link1
addr add 10.77.0.2/24 dev link1
route add default via 192.168.101.1 dev link1 metric 100
route add default via 10.77.0.1 dev link1 metric 200
X
up home
wait_for 3 'both addresses' uses 10.77.0.2 192.168.101.2
wait_for 2 'both routers, as the server sees them' sees "$both_publics"
expect 'the tunnel carries' carries
step 'the router that one of them has is gone: not one packet waits for it'
spawn_on client "$dir/ping.log" ping -q -i 0.02 -c 150 -W 1 "$INET4"
ping=$SPAWNED
sleep 1
on client ip route del default via 192.168.101.1 dev link1
wait "$ping" || fail "the ping: $(cat "$dir/ping.log")"
expect_match 'nothing is lost' ' 0% packet loss' "$(cat "$dir/ping.log")"
expect_equal 'the other goes on' 10.77.0.2 "$(locals)"
on client ip route add default via 192.168.101.1 dev link1 metric 100
wait_for 3 'both addresses' uses 10.77.0.2 192.168.101.2
ends

for dead in 1 2; do
  step "router $dead is dead from the start"
  kill_by $dead
  up home
  expect_equal 'the address of the other' "$([ $dead = 1 ] && echo 10.77.0.2 || echo 192.168.101.2)" "$(locals)"
  expect 'the tunnel carries' carries
  heal $dead
  wait_for 8 'both routers' sees "$both_publics"
  ends
done

step 'one address, two routers'
fresh <<X
addr add 192.168.101.2/24 dev link1
route add default via 192.168.101.1 dev link1 metric 100
route add default via 192.168.101.254 dev link1 metric 200
X
up home
wait_for 3 'both routers, as the server sees them' sees "$both_publics"
ids=$(path_id 192.168.101.2)
expect 'the tunnel carries' carries
expect_match 'an answer to outside leaves by the first' 'via 192.168.101.1 ' "$(on client ip route get 203.0.113.99 from 192.168.101.2)"
step 'the first route goes, and comes back'
on client ip route del default via 192.168.101.1 dev link1
wait_for 1 'the second router alone' uses 192.168.101.2
expect_match 'its path is the same' "(^| )$(path_id 192.168.101.2)( |$)" "$ids"
expect 'the tunnel carries' carries
wait_for 2 'the second router, as the server sees it' sees "$(gateway_public4 2)"
on client ip route add default via 192.168.101.1 dev link1 metric 100
wait_for 3 'both routers' sees "$both_publics"
ends
step 'the first is dead from the start'
kill_by 1
up home
expect 'the tunnel carries' carries
expect_equal 'as the server sees it' "$(gateway_public4 2)" "$(publics)"
heal 1
ends

step 'two addresses behind one router: one path, by the other address when the first is shut out'
fresh <<X
addr add 192.168.101.2/24 dev link1
addr add 192.168.101.3/24 dev link1
route add default via 192.168.101.1 dev link1 metric 100
X
kill_by 1 'ip saddr 192.168.101.2'
up home
expect_equal 'the address' 192.168.101.3 "$(locals)"
heal 1
kill_by 1 'ip saddr 192.168.101.3'
wait_for 10 'the other address' uses 192.168.101.2
expect 'the tunnel carries' carries
heal 1
ends
step 'the same beside a link that works'
link_up 2 && ip -n gw2 link set lan up
on client ip -6 addr flush dev link2 scope global
before=$(net_state client)
up home
wait_for 3 'one path for each' all_active home 2
first=$(locals | cut -d' ' -f1) second=192.168.101.2
[ "$first" != "$second" ] || second=192.168.101.3
kill_by 1 "ip saddr $first"
on client ping -q -i 0.1 -c 80 "$INET4" >/dev/null & # paths that are lost are looked at more often while somebody needs them
wait_for 12 'the other address' uses "$second" 192.168.102.2
wait $!
heal 1
ends
on client ip link set link2 down
ip -n gw2 link set lan down

step 'IPv6: two routers with a prefix each, which no subnet tells apart'
link_local() { on "$1" ip -6 -o addr show dev "$2" scope link | awk '{ sub("/.*", "", $4); print $4; exit }'; }
fresh <<X
addr add 2001:db8:64:1::2/64 dev link1 nodad
addr add 2001:db8:64:2::7/64 dev link1 nodad
route add default via $(link_local gw1 sw0) dev link1 metric 100
route add default via $(link_local gw2 lan1) dev link1 metric 200
X
up home
wait_for 5 'both addresses' uses '[2001:db8:64:1::2]' '[2001:db8:64:2::7]'
expect 'the tunnel carries' carries
ends

step 'a deprecated address: used when there is no other, kept while in use, left when it goes'
fresh <<X
addr add 2001:db8:64:1::2/64 dev link1 nodad preferred_lft 0
route add default via $(link_local gw1 sw0) dev link1 metric 100
X
up home
expect_equal 'the address' '[2001:db8:64:1::2]' "$(locals)"
ends
on client ip addr change 2001:db8:64:1::2/64 dev link1 nodad preferred_lft forever
up home
id=$(path_id '[2001:db8:64:1::2]')
on client ip -batch - <<X || fail 'another address'
addr change 2001:db8:64:1::2/64 dev link1 nodad preferred_lft 0
addr add 2001:db8:64:1::3/64 dev link1 nodad
X
sleep 1
expect_equal 'the path is the same' "$id" "$(path_id '[2001:db8:64:1::2]')"
on client ip addr del 2001:db8:64:1::2/64 dev link1
wait_for 1 'the new address' uses '[2001:db8:64:1::3]'
expect 'the tunnel carries' carries
down home
step 'a new tunnel begins with the preferred one'
on client ip addr add 2001:db8:64:1::2/64 dev link1 nodad preferred_lft 0
up home
expect_equal 'the address' '[2001:db8:64:1::3]' "$(locals)"
down home
e2e_end
