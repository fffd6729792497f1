#!/usr/bin/env bash
# The server's address changes under a connected client: its name leads elsewhere, or it announced the next address beforehand.
# An inner TCP connection lives through both. The name is found although all traffic, that to the resolver too, is the dead
# tunnel's, and although the first link is dead.
# timeout: 150
# sanitize: yes
# beside others: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
command -v python3 >/dev/null || skip 'needs python3'
lab links=2 family=4 rate=20M delay=10ms,20ms server_addresses=2
start_server --endpoint "$SERVER4:443"
on server sysctl -q net.ipv4.conf.eth0.promote_secondaries=1
# hosts ADDRESS: what the name of the server leads to.
hosts=$(host_files client)/etc/hosts
rm -f "$hosts"
names() { printf '127.0.0.1 localhost\n%s vpn.example\n' "$1" >"$hosts"; }
enrol home laptop
remotes() { status home '[.paths[] | select(.state == "active") | .remote] | unique | join(" ")'; }
goes_to() { [ "$(remotes)" = "$1:443" ] && all_active home 2; }
spawn_on inet "$dir/tcp-serve.log" hawser-probe tcp-serve 5201

# moves FROM TO: the address FROM is given up, under a connection.
moves() {
  local load began
  spawn_on client "$dir/tcp.json" hawser-probe tcp "$INET4" 5201 --seconds 16 --streams 1 --congestion cubic
  load=$SPAWNED
  sleep 2
  on server ip addr del "$1/24" dev eth0
  began=$(date +%s%N)
  "$3"
  wait_for 14 "both paths to go to $2" goes_to "$2"
  moved=$((($(date +%s%N) - began) / 1000000))
  wait $load || fail "the inner TCP connection broke: $(cat "$dir/tcp.json")"
  printf '   both paths by the new address after %s ms; TCP stalled for %s ms\n' "$moved" "$(jq '.stall_ms | round' "$dir/tcp.json")"
  [ "$(jq '.goodput_bps > 1000000' "$dir/tcp.json")" = true ] || fail "the connection hardly carried anything: $(cat "$dir/tcp.json")"
}

step 'the name leads elsewhere'
names "$SERVER4"
set_key home endpoints '["vpn.example:443"]'
rm -f "$(host_files client)/var/lib/hawser/home/endpoints"
up home
wait_for 5 'both paths' goes_to "$SERVER4"
new_name() { names "$SERVER4_SECOND"; : >"$dir/questions"; }
moves "$SERVER4" "$SERVER4_SECOND" new_name
[ "$moved" -le 8000 ] || fail "$moved ms, although names are looked up every 5 s while nobody answers"
down home
on server ip addr add "$SERVER4/24" dev eth0

step 'announced beforehand'
set_key home endpoints "[\"$SERVER4:443\"]"
rm -f "$(host_files client)/var/lib/hawser/home/endpoints"
up home
wait_for 5 'both paths' goes_to "$SERVER4"
sed -i "s/^endpoints.*/endpoints = [\"$SERVER4:443\", \"$SERVER4_SECOND:443\"]/" "$(host_files server)/etc/hawser/server.toml"
expect_exit 0 vpn_server reload
knows() { grep -q "^$SERVER4_SECOND:443" "$(host_files client)/var/lib/hawser/home/endpoints"; }
wait_for 3 'the client to know the other address' knows
moves "$SERVER4" "$SERVER4_SECOND" true
[ "$moved" -le 3000 ] || fail "$moved ms, although the address was known"
down home
step 'and remembered'
up home
expect_equal 'the address' "$SERVER4_SECOND:443" "$(remotes)"
down home

step 'the name leads elsewhere, and only a resolver beyond the gateways knows it'
sed -i "s/^endpoints.*/endpoints = [\"$SERVER4:443\"]/" "$(host_files server)/etc/hawser/server.toml"
expect_exit 0 vpn_server reload
printf '127.0.0.1 localhost\n' >"$hosts"
resolver=203.0.113.53
ip -n core addr add "$resolver/32" dev lo || fail 'an address in the core'
printf 'nameserver %s\nsearch lan\n' "$resolver" >"$(host_files client)/etc/resolv.conf"
hosts=$dir/names
names "$SERVER4"
on server ip addr replace "$SERVER4/24" dev eth0
nsenter --net=/run/netns/core -- python3 "$(dirname "$0")/tools/dns.py" "$resolver" "$hosts" >>"$dir/questions" &
dns=$!
# asked_by_links ADDRESS..: by these, since the file was emptied, and for nothing but the server's name, although the machine has a
# search domain. (The machine's own questions come out of the tunnel, once it lives again.)
asked_by_links() {
  local by_links
  by_links=$(grep '^192[.]168[.]' "$dir/questions" | sort -u)
  expect_equal 'names asked' 'vpn.example' "$(awk '{ print $2 }' <<<"$by_links" | sort -u)"
  expect_equal 'who asked' "$*" "$(awk '{ print $1 }' <<<"$by_links" | sort -u | paste -sd' ')"
}
wait_for 5 'the resolver' sh -c "ss -H -N core -uln | grep -q $resolver:53"
set_key home endpoints '["vpn.example:443"]'
set_key home route '"all"'
rm -f "$(host_files client)/var/lib/hawser/home/endpoints"
up home
wait_for 5 'both paths' goes_to "$SERVER4"
in_tunnel() { on client ip route get "$resolver" | grep -q hawser; }
expect 'questions go into the tunnel' in_tunnel
rm -f "$(host_files client)/var/lib/hawser/home/endpoints"
moves "$SERVER4" "$SERVER4_SECOND" new_name
[ "$moved" -le 8000 ] || fail "$moved ms, although names are looked up every 5 s while nobody answers"
asked_by_links "$(link_address4 1)" "$(link_address4 2)"
down home

step 'and the first link is dead'
link_blackhole 1 on
: >"$dir/questions"
rm -f "$(host_files client)/var/lib/hawser/home/endpoints"
began=$(date +%s%N)
up home
took=$((($(date +%s%N) - began) / 1000000))
printf '   connected after %s ms\n' "$took"
[ "$took" -le 3000 ] || fail "$took ms, although the other link reaches the resolver"
expect_equal 'the address' "$SERVER4_SECOND:443" "$(remotes)"
asked_by_links "$(link_address4 2)"
down home
sed -i 's/^endpoints.*/endpoints = ["vpn.example:443"]/' "$(host_files server)/etc/hawser/server.toml"
expect_exit 0 vpn join home2 - < <(invite phone)
kill "$dns"
e2e_end
