#!/usr/bin/env bash
# A link with IPv6 only, and a server that is known by IPv4 only: the network's translator is found by DNS, and used, by vpn-join
# and by vpn-up; also beside a link that has IPv4. Without a translator the status says what is missing.
# timeout: 90
# sanitize: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
command -v python3 >/dev/null || skip 'needs python3'
lab links=2 rate=20M delay=10ms
start_server --endpoint "$SERVER4:443"
for n in 1 2; do on client ip -"$([ $n = 1 ] && echo 4 || echo 6)" addr flush dev link$n scope global; done

# The translator at the first link's gateway; its own resolver is the client's.
tools=$(dirname "$0")/tools
on gw1 python3 "$tools/nat64.py" translate nat64 &
translator=$!
wait_for 5 'the translator' ip -n gw1 link show nat64
ip -n gw1 -batch - <<X || fail 'routes at the gateway'
link set nat64 up
route add 64:ff9b::/96 dev nat64
route add 192.0.2.200/32 dev nat64
X
ip -n core route add 192.0.2.200/32 via "$(gateway_public4 1)" || fail 'a route in the core'
echo "nameserver $(gateway_address6 1)" >"$(host_files client)/etc/resolv.conf"

step 'without a translator'
on client ip link set link2 down
invite laptop >"$dir/invite"
expect_exit 6 vpn join home "file:$dir/invite"
expect_match 'what is missing' 'IPv6 only, the server is known by IPv4, and the network.s DNS names no translator' "$output"

step 'with one, by vpn-join'
on gw1 python3 "$tools/nat64.py" dns "$(gateway_address6 1)" 64:ff9b:: &
resolver=$!
expect_exit 0 vpn join home "file:$dir/invite" --force
set_key home route '["10.9.0.0/16"]'

step 'by vpn-up'
up home
expect_equal 'the path' "[64:ff9b::c633:6401]:443" "$(status home '.paths[] | select(.state == "active") | .remote')"
expect_match 'what the server sees' '^192[.]0[.]2[.]200:' "$(server_status '.users[0].paths[] | select(.state == "active") | .remote')"
expect 'the tunnel carries' on client ping -q -c 2 -i 0.2 -W 2 "$(inner_server4)" >/dev/null

step 'beside a link with IPv4'
link_up 2
on client ip -6 addr flush dev link2 scope global
wait_for 5 'both links' all_active home 2
expect_equal 'server addresses' "$SERVER4:443 [64:ff9b::c633:6401]:443" "$(status home '[.paths[] | select(.state == "active") | .remote] | sort | join(" ")')"
down home
kill "$translator" "$resolver"
e2e_end
