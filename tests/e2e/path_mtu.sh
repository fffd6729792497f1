#!/usr/bin/env bash
# Links that carry no full-size packets, and say nothing of it: one of 1280 beside one of 1500, in both headings; a black hole for large
# packets that opens under traffic; an interface whose own MTU falls.
# timeout: 180
# sanitize: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=2 family=4 rate=20M delay=10ms
# Each datagram by itself, or the gateway would see a send of several as one large packet.
on server hawser-netem prepare eth0 >/dev/null || fail 'the server'"'"'s interface'
for n in 1 2; do on gw$n nft add table inet narrow; done
# carries_at_most N BYTES: gateway N drops larger packets without a word. carries_all N
carries_at_most() {
  on "gw$1" nft -f - <<X || fail 'nft at the gateway'
table inet narrow {
  counter swallowed {}
  chain forward {
    type filter hook forward priority 0;
    ip length > $2 counter name swallowed drop
  }
}
X
}
carries_all() { on "gw$1" nft delete table inet narrow; }
swallowed() { on "gw$1" nft -j list counter inet narrow swallowed | jq '.nftables[] | .counter? // empty | .packets'; }
start_server --endpoint "$SERVER4:443"
enrol home laptop
spawn_on inet "$dir/tcp-serve.log" hawser-probe tcp-serve 5201
# Of the ways to the server the client knows, of those to the client the server. A path's MTU is of its UDP payload.
mtu_of() {
  case $2 in
    up) status home ".paths[] | select(.interface == \"link$1\") | .mtu" ;;
    down) server_status ".users[0].paths[] | select(.remote | startswith(\"$(link_address4 "$1"):\")) | .mtu" ;;
  esac
}
knows() { [ "$(mtu_of "$1" "$2")" = $(($3 - 28)) ]; }
at_most() { local m; m=$(mtu_of "$1" "$2"); [ -n "$m" ] && [ "$m" -le $(($3 - 28)) ]; }
# connect: both links, and what they carry is known.
connect() {
  up home
  wait_for 8 'both links' all_active home 2
  for heading in up down; do wait_for 20 "the MTU of the whole one, $heading" knows 2 $heading 1500; done
}
# tcp HEADING SECONDS: a connection that must have both links' rate.
tcp() {
  on client hawser-probe tcp "$INET4" 5201 --seconds "$2" --skip 2 --congestion cubic $([ "$1" = down ] || echo --up) >"$dir/tcp.json" ||
    fail "the connection broke: $(cat "$dir/tcp.json")"
  printf '   %s Mbit/s %s\n' "$(jq '.goodput_bps / 1e6 | round' "$dir/tcp.json")" "$1"
  [ "$(jq '.goodput_bps > 30e6' "$dir/tcp.json")" = true ] || fail "too slow: $(cat "$dir/tcp.json")"
  expect 'both are in use' all_active home 2
}
# under_tcp HEADING LINK CHANGE: it happens to a connection; no stall longer than P7 allows for a link that falls silent.
under_tcp() {
  local load stall
  spawn_on client "$dir/tcp.json" hawser-probe tcp "$INET4" 5201 --seconds 9 --congestion cubic $([ "$1" = down ] || echo --up)
  load=$SPAWNED
  sleep 4
  "$3"
  wait_for 5 'the MTU to be found' at_most "$2" "$1" 1280
  wait "$load" || fail "the connection broke: $(cat "$dir/tcp.json")"
  stall=$(jq '.stall_ms | round' "$dir/tcp.json")
  printf '   longest stall %s ms %s (bar 300)\n' "$stall" "$1"
  [ "$stall" -le 450 ] || fail "a stall of $stall ms"
  tcp "$1" 5
}

step 'one of 1280 beside one of 1500'
carries_at_most 1 1280
connect
for way in up down; do
  tcp $way 6
  wait_for 5 "the MTU of the narrow one, $way" knows 1 $way 1280
done
expect 'large packets get through' on client ping -q -c 3 -i 0.2 -W 1 -s 1200 "$INET4" >/dev/null
down home
carries_all 1

opens() { carries_at_most 1 1280; }
for way in up down; do
  step "a black hole opens under traffic, $way"
  connect
  wait_for 20 'the MTU' knows 1 $way 1500
  under_tcp $way 1 opens
  [ "$(swallowed 1)" -gt 0 ] || fail 'nothing was too large'
  down home
  carries_all 1
done

step "an interface's own MTU falls under traffic"
connect
falls() { on client ip link set link2 mtu 1280; }
under_tcp up 2 falls
down home
e2e_end
