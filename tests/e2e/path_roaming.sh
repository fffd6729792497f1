#!/usr/bin/env bash
# One link and one TCP connection through the tunnel: the link's address changes, the network changes, a translator gives it another
# public address, the machine sleeps. The connection lives through all of them.
# timeout: 180
# sanitize: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=2 family=4 rate=20M delay=10ms nat=1,2
start_server --endpoint "$SERVER4:443"
on client ip link set link2 down
enrol home laptop
up home
spawn_on inet "$dir/tcp-serve.log" hawser-probe tcp-serve 5201
seen_as() { [ "$(server_status '[.users[0].paths[] | select(.state == "active") | .remote | sub(":[0-9]+$"; "")] | unique | join(" ")')" = "$1" ]; }
daemon() { on client ss -Hlxp src unix:/run/hawser/home/control.sock | grep -oE 'pid=[0-9]+' | head -1 | cut -d= -f2; }

# under_tcp BAR CHANGE [SECONDS [LASTS]]: the change happens to a download of so many seconds, which may stand still for so many
# milliseconds beyond those that the change itself lasts, and does stand still for most of those.
under_tcp() {
  local load stall lasts=${4:-0}
  spawn_on client "$dir/tcp.json" hawser-probe tcp "$INET4" 5201 --seconds "${3:-9}" --congestion cubic
  load=$SPAWNED
  sleep 3
  "$2"
  wait "$load" || fail "the inner TCP connection broke: $(cat "$dir/tcp.json")"
  stall=$(jq '.stall_ms | round' "$dir/tcp.json")
  printf '   longest stall %s ms (bar %s)\n' "$stall" $(($1 + lasts))
  [ "$stall" -le $(($1 * 3 / 2 + lasts)) ] || fail "a stall of $stall ms"
  [ "$stall" -ge $((lasts * 9 / 10)) ] || fail "only $stall ms: did it happen?"
  expect 'the tunnel carries' on client ping -q -c 2 -i 0.2 -W 1 "$INET4" >/dev/null
}

step 'another address on the same interface; the old one goes first'
new_address() {
  ip -n client -batch - <<X || fail 'another address'
addr del $(link_address4 1)/24 dev link1
addr add 192.168.101.77/24 dev link1
route add default via $(gateway_address4 1) dev link1 metric 100
X
}
under_tcp 700 new_address
expect_match 'the address' '^192[.]168[.]101[.]77:' "$(status home '.paths[] | select(.state == "active") | .local')"

step 'another network'
other_network() { link_down 1; link_up 2; }
under_tcp 700 other_network
wait_for 3 'the other network, as the server sees it' seen_as "$(gateway_public4 2)"

step 'the translator gives another public address'
# Its mappings go with the address.
other_public() {
  ip -n gw2 -batch - <<X || fail 'another public address'
addr del $(gateway_public4 2)/28 dev wan
addr add 192.0.2.37/28 dev wan
route replace default via 192.0.2.33
X
}
under_tcp 700 other_public
wait_for 3 'the other address, as the server sees it' seen_as 192.0.2.37

step 'asleep for half a minute'
# As far as the process goes: it stands still, the world does not.
sleeps() {
  local pid
  pid=$(daemon)
  [ -n "$pid" ] || fail 'which process is the daemon?'
  kill -STOP "$pid"
  sleep 30
  kill -CONT "$pid"
}
under_tcp 1000 sleeps 40 30000
down home
e2e_end
