#!/usr/bin/env bash
# Which interfaces become paths: many of one kind, a new one within a second, `ignore`, `[[path]]`, `discover`; and leases that
# are renewed again and again under traffic, which disturb nothing; and a link that answers nothing.
# timeout: 120
# sanitize: yes
# beside others: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=8 rate=20M delay=10ms
start_server
enrol home laptop
profile=$(host_files client)/etc/hawser/home.toml
log=$(host_files client)/var/lib/hawser/home/log
cp "$profile" "$dir/profile"
active() { status home '[.paths[] | select(.state == "active") | .interface] | sort | join(" ")'; }
is_active() { [ "$(active)" = "$*" ]; }
listed() { status home '[.paths[].interface] | unique | join(" ")'; }

step 'eight links of one kind, the last of them plugged in later'
link_down 8
up home
wait_for 3 'seven paths' is_active link1 link2 link3 link4 link5 link6 link7
began=$(date +%s%N)
link_up 8
wait_for 3 'the eighth' is_active link1 link2 link3 link4 link5 link6 link7 link8
took=$((($(date +%s%N) - began) / 1000000))
step "a path $took ms after it was plugged in (bar 1000)"
[ "$took" -le 1500 ] || fail "a new interface was a path after $took ms"

step 'leases renewed a hundred times under traffic'
paths() { status home '[.paths[] | [.interface, .id, .local, .remote] | join(" ")] | sort | .[]'; }
sleep 1
before=$(paths) lines=$(grep -c 'trying from\|no longer used' "$log")
spawn_on client "$dir/ping.log" ping -q -i 0.02 -c 150 -W 1 "$INET4"
ping=$SPAWNED
for i in $(seq 1 50); do
  for n in 1 2; do
    printf 'addr replace %s/24 dev link%d valid_lft %d preferred_lft %d\n' "$(link_address4 $n)" $n $((3600 + i)) $((1800 + i))
    # The kernel says nothing of a route that is replaced by its like.
    printf 'route replace default via %s dev link%d metric %d proto %s\n' "$(gateway_address4 $n)" $n $((100 * n)) $([ $((i % 2)) = 1 ] && echo dhcp || echo boot)
  done
done | on client ip -batch - || fail 'ip could not renew'
wait "$ping" || fail "the ping: $(cat "$dir/ping.log")"
expect_match 'nothing is lost' ' 0% packet loss' "$(cat "$dir/ping.log")"
expect_equal 'the paths' "$before" "$(paths)"
expect_equal 'what the log says of links' "$lines" "$(grep -c 'trying from\|no longer used' "$log")"
down home

step 'a link that answers nothing is named, with the reason, and delays nobody'
link_blackhole 1 on
began=$(date +%s%N)
up home
took=$((($(date +%s%N) - began) / 1000000))
printf '   connected after %s ms (bar 1000)\n' "$took"
[ "$took" -le 1500 ] || fail "connected after $took ms"
names_it() { [ "$(status home '[.paths[] | select(.interface == "link1") | .state + " " + .reason] | unique | join(" ")')" = 'lost no-answer' ]; }
wait_for 6 'the reason' names_it
expect_equal 'the others' 'link2 link3 link4 link5 link6 link7 link8' "$(active)"
link_blackhole 1 off
wait_for 8 'it answers' is_active link1 link2 link3 link4 link5 link6 link7 link8
down home

step 'ignore, and a [[path]] that names what is ignored'
on client ip -batch - <<X || fail 'a bridge like docker'"'"'s'
link add docker0 type bridge
addr add 172.17.0.1/16 dev docker0
link set docker0 up
X
cp "$dir/profile" "$profile"
sed -i 's/^discover.*/&\nignore = ["link3", "link4", "link5", "link6", "link7", "link8", "docker*"]/' "$profile"
printf '\n[[path]]\nmatch = { interface = "link5" }\npriority = "backup"\n' >>"$profile"
up home
expect_equal 'the interfaces' 'link1 link2 link5' "$(listed)"
expect_equal 'the role' backup "$(status home '[.paths[] | select(.interface == "link5") | .priority] | unique | join(" ")')"
down home

step 'discover = false'
cp "$dir/profile" "$profile"
sed -i 's/^discover.*/discover = false/' "$profile"
on gw7 nft -f - <<'NFT' || fail 'a counter at the gateway'
table inet seen {
  chain forward {
    type filter hook forward priority 0;
    udp dport 443 counter
  }
}
NFT
printf '\n[[path]]\nmatch = { interface = "link6" }\n\n[[path]]\nmatch = { interface = "link7" }\npriority = "never"\n' >>"$profile"
up home
expect_equal 'the interfaces' 'link6 link7' "$(listed)"
expect_equal 'the one that may' 'link6' "$(active)"
expect 'the tunnel carries' on client ping -q -c 1 -W 1 "$INET4" >/dev/null
expect_match 'datagrams by the one that may not' 'packets 0 ' "$(on gw7 nft list table inet seen)"
down home
e2e_end
