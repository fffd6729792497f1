#!/usr/bin/env bash
# What vpn-up changes is undone by vpn-down, and after kill -9 by --cleanup, by vpn-down and by the next vpn-up: nothing of ours
# is left, and nothing of others is touched. --dry-run tells it beforehand. Two split-tunnel profiles over the same links.
# timeout: 240
# sanitize: yes
# beside others: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=2 rate=50M delay=5ms
start_server
enrol home laptop
before=$(net_state client)
resolver=$(on client cat /etc/resolv.conf 2>/dev/null)
unchanged() { expect_equal "rules, routes and devices $1" "$before" "$(net_state client)"; }
reaches() { on client ping -q -c 1 -W 3 "$1" >/dev/null; }

step '--dry-run changes nothing and tells everything'
planned=$(vpn up home --dry-run) || fail "--dry-run: exit $?"
unchanged 'after --dry-run'
for folder in /run/hawser /var/lib/hawser; do
  if on client test -e "$folder/home"; then fail "--dry-run made $folder/home"; fi
done
up home -v
done_commands=$(on client sed -n 's/.*changed: //p' /var/lib/hawser/home/log)
down home
unchanged 'after vpn-down'
expect_equal 'the commands told and those done' "$(grep -E '^ip -[46] ' <<<"$planned")" "$done_commands"
expect_match 'the device' '^ip tuntap add dev hawser0' "$planned"
expect_match 'DNS' 'DNS is not touched' "$planned"

start_foreground() {
  spawn_on client "$dir/foreground.log" "$programs/vpn-up" --foreground home "$@"
  daemon=$SPAWNED
  wait_for 10 'the tunnel to be up' has_status home '.state == "connected"'
}
kill_hard() {
  kill -9 "$daemon"
  wait "$daemon" 2>/dev/null
  if [ "$before" = "$(net_state client)" ]; then fail 'kill -9 left nothing behind: this test shows nothing'; fi
}

step 'kill -9, then vpn-up --cleanup'
start_foreground
kill_hard
expect 'the network works without the tunnel' reaches "$SERVER4"
expect_exit 3 vpn status home --check
expect_exit 0 vpn up home --cleanup
unchanged 'after --cleanup'
expect_exit 0 vpn up home --cleanup

step 'kill -9, then vpn-down'
start_foreground
kill_hard
expect_exit 0 vpn down home
unchanged 'after vpn-down'

step 'kill -9, then vpn-up, then vpn-down'
start_foreground
kill_hard
up home
expect 'the server answers inside' reaches "$(inner_server4)"
down home
unchanged 'after vpn-down'

step 'SIGTERM ends the daemon with exit 0'
start_foreground
kill -TERM "$daemon"
code=0
wait "$daemon" || code=$?
expect_equal 'exit code' 0 "$code"
unchanged 'after SIGTERM'

step 'what another program changes meanwhile is kept'
up home
table=$(on client ip -4 rule | sed -n 's/.*from 192\.168\.101\.2 lookup \([0-9][0-9]*\).*/\1/p')
expect_match 'our table' '^[0-9]+$' "$table"
on client ip route add 10.77.0.0/16 via "$(gateway_address4 2)" dev link2
on client ip rule add pref 4000 from 10.88.0.0/16 lookup main
on client ip route replace default via 192.168.101.77 dev link1 onlink table "$table"
on client sh -c 'echo "nameserver 192.0.2.53" >/etc/resolv.conf'
expect 'the tunnel still works' reaches "$(inner_server4)"
down home
expect_match 'their route' '^10\.77\.0\.0/16 via' "$(on client ip route)"
expect_match 'their rule' '^4000:' "$(on client ip rule)"
expect_match 'their change of our route' 'default via 192\.168\.101\.77' "$(on client ip route show table "$table")"
expect_equal 'their resolver' 'nameserver 192.0.2.53' "$(on client cat /etc/resolv.conf)"
on client ip route del 10.77.0.0/16
on client ip rule del pref 4000
on client ip route flush table "$table"
on client sh -c 'printf "%s\n" "$1" >/etc/resolv.conf' sh "$resolver"
unchanged 'without what the other program did'

step 'two profiles with lists of routes over the same links'
set_key home route '["10.9.0.0/16", "fd00::/8"]'
enrol office desk
set_key office route '["203.0.113.0/24", "2001:db8:113::/64"]'
inner=$(inner_server4)
up home
up office
expect_equal 'interfaces' 'hawser0 hawser1' "$(status home .tunnel.interface) $(status office .tunnel.interface)"
expect 'home carries its list' reaches "$inner"
expect 'office carries its list' reaches "$INET4"
expect_match 'the way to the inside' 'dev hawser0' "$(on client ip route get "$inner")"
expect_match 'the way behind the server' 'dev hawser1' "$(on client ip route get "$INET4")"
expect_match 'the way to anywhere else' 'dev link1' "$(on client ip route get 192.0.2.200)"
down home
expect 'office goes on without home' reaches "$INET4"
up home
down office
expect 'home goes on without office' reaches "$inner"
wait_for 5 'both links of home' all_active home 2
down home
unchanged 'after both'
up home
up office
expect_exit 0 vpn down --all
unchanged 'after vpn-down --all'
e2e_end
