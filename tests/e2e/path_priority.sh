#!/usr/bin/env bash
# What the priorities mean on the wire, both ways. Hybrid access (S-13 of the published scenarios: RFC 8157, TR-348): a secondary
# link joins when the preferred one is full and leaves when it is not. A backup carries nothing while another works, but is warm.
# All of it changed live, and obeyed by the server.
#   tests/e2e/path_priority.sh [--bars] [PART..]
# parts: hybrid-down hybrid-up faster-down faster-up live-down live-up takes-over
# timeout: 900
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/failover_lib.sh" # longest_silence
factor=1.5 share_of_ceiling=0.81
e2e_begin "$@"
[ "${1:-}" != --bars ] || { factor=1 share_of_ceiling=0.9; shift; }
chosen=" $* "
# part NAME: is it wanted?
part() { case $chosen in '  ' | *" $1 "*) ;; *) return 1 ;; esac; }
# DSL and LTE.
lab links=2 rate=15M,40M delay=15ms,35ms nat=1,2
# The kernel asks again who a neighbour is, when it likes: those bytes are none of the tunnel's.
on client ip neigh change "$(gateway_address4 2)" dev link2 nud permanent
on gw2 ip neigh change "$(link_address4 2)" dev lan nud permanent
start_server --endpoint "$SERVER4:443"
enrol home laptop
printf '\n[[path]]\nmatch = { interface = "link2" }\npriority = "secondary"\n' >>"$(host_files client)/etc/hawser/home.toml"
up home
wait_for 5 'both links' all_active home 2
spawn_on inet "$dir/tcp-serve.log" hawser-probe tcp-serve 5201
spawn_on inet "$dir/echo.log" hawser-probe echo 5202
client4=$(inner4 home)
sleep 0.5

bytes() { link_get "$1" "$2" in_bytes; }
# offer DIRECTION SECONDS: 12 Mbit/s of packets of 1400 bytes: with what the tunnel adds 83 % of the first link.
offer() {
  if [ "$1" = up ]; then
    spawn_on inet "$dir/received.json" hawser-probe receive 5203 --seconds $(($2 + 2)) --idle 1
    receiver=$SPAWNED
    sleep 0.2
    spawn_on client "$dir/sent.json" hawser-probe send "$INET4" 5203 --bits 12000000 --size 1372 --seconds "$2"
  else
    spawn_on client "$dir/received.json" hawser-probe receive 5203 --seconds $(($2 + 2)) --idle 1
    receiver=$SPAWNED
    sleep 0.2
    spawn_on server "$dir/sent.json" hawser-probe send "$client4" 5203 --bits 12000000 --size 1372 --seconds "$2"
  fi
}
# share DIRECTION SECONDS: what part of both links' bytes the second one carries from now on, in per mille.
share() {
  local first second
  first=$(bytes 1 "$1") second=$(bytes 2 "$1")
  sleep "$2"
  first=$(($(bytes 1 "$1") - first)) second=$(($(bytes 2 "$1") - second))
  echo $((1000 * second / (first + second + 1)))
}
at_most() { [ "$2" -le "$3" ] || fail "$1: $2, at most $3"; }
bar() { awk -v b="$1" -v f="$factor" 'BEGIN { printf "%d\n", b * f }'; }
# tcp DIRECTION SECONDS [FLOWS [SKIP]]: CUBIC; the first SKIP seconds are not in its goodput.
tcp() { spawn_on client "$dir/tcp.json" hawser-probe tcp "$INET4" 5201 --seconds "$2" --skip "${4:-1}" --streams "${3:-1}" --congestion cubic $([ "$1" = up ] && echo --up); }
finish() { wait "$1" || fail "exit $? of a probe: $(cat "$dir"/*.json)"; }

hybrid() {
  local way=$1 load stall lte
  offer "$way" 7
  sleep 1
  share=$(share "$way" 5)
  finish "$receiver"
  lost=$(jq .lost "$dir/received.json") received=$(jq .received "$dir/received.json")
  # A single flow has its own growth law: as for the other bars the first ten seconds do not count.
  tcp "$way" 22 1 10
  load=$SPAWNED
  sleep 12
  lte=$(share "$way" 6)
  finish "$load"
  goodput=$(jq '.goodput_bps' "$dir/tcp.json") stall=$(jq '.stall_ms | round' "$dir/tcp.json")
  ceiling=$(awk -v g="$goodput" 'BEGIN { printf "%.3f", g / (55e6 * 1368 / 1514) }')
  # The load is gone: the link is left within a second.
  offer "$way" 5
  sleep 1
  after=$(share "$way" 3)
  finish "$receiver"
  full_share=$lte full_stall=$stall
}
for way in down up; do
  part hybrid-$way || continue
  step "hybrid access, $way"
  measured hybrid $way
  printf '   offered 83 %% of DSL: LTE carries %s per mille (bar 20), %s of %s packets lost; one TCP flow: %s of the ceiling (bar 0.9), LTE %s per mille, stall %s ms; offered 83 %% again: %s per mille\n' \
    "$share" "$lost" "$((received + lost))" "$ceiling" "$full_share" "$full_stall" "$after"
  at_most 'the share of LTE below 85 % of DSL, per mille' "$share" 20
  at_most 'packets lost of a thousand' $((1000 * lost / (received + lost))) 1
  awk -v c="$ceiling" -v b="$share_of_ceiling" 'BEGIN { exit !(c >= b) }' || fail "one TCP flow: $ceiling of the ceiling"
  at_most 'a stall while LTE joins, in ms' "$full_stall" "$(bar 300)"
  at_most 'the share of LTE after the load, per mille' "$after" 20
done

# A secondary link that would be the better choice: only the priority keeps the traffic on the other one.
step 'the secondary link is the faster one'
expect_exit 0 vpn up home --set link1.priority=secondary --set link2.priority=always
sleep 1
light() {
  offer "$1" 5
  sleep 1
  share=$(share "$1" 3)
  finish "$receiver"
}
for way in down up; do
  part faster-$way || continue
  measured light $way
  printf '   %s: offered 30 %% of LTE: DSL carries %s per mille (bar 20)\n' $way $((1000 - share))
  at_most 'the share of DSL, per mille' $((1000 - share)) 20
done
expect_exit 0 vpn up home --set link1.priority=always --set link2.priority=secondary
sleep 1

change_live() {
  local way=$1
  expect_exit 0 vpn up home --set link2.priority=always
  tcp "$way" 16 4
  load=$SPAWNED
  sleep 3
  before=$(share "$way" 1)
  expect_exit 0 vpn up home --set link2.priority=backup
  sleep 1
  backup=$(share "$way" 2)
  expect_exit 0 vpn up home --set link2.priority=never
  sleep 0.5
  was=$(($(bytes 2 up) + $(bytes 2 down)))
  sleep 2
  is=$(($(bytes 2 up) + $(bytes 2 down)))
  expect_exit 0 vpn up home --set link2.priority=always
  sleep 2
  after=$(share "$way" 2)
  finish "$load"
  expect_exit 0 vpn up home --set link2.priority=secondary
  offer "$way" 5
  sleep 1
  secondary=$(share "$way" 3)
  finish "$receiver"
}
for way in down up; do
  part live-$way || continue
  step "changed live under load, $way: always, backup, never, always, secondary"
  measured change_live $way
  printf '   LTE carries %s per mille, then %s, %s bytes, %s, %s\n' "$before" "$backup" $((is - was)) "$after" "$secondary"
  [ "$before" -ge 300 ] || fail "LTE carries $before per mille of a full load"
  at_most 'the share of a backup, per mille' "$backup" 5
  expect_equal 'bytes of a link that must not be used' "$was" "$is"
  [ "$after" -ge 300 ] || fail "LTE carries $after per mille of a full load after its return"
  at_most 'the share of LTE when it is secondary again, per mille' "$secondary" 20
done

part takes-over || { down home; e2e_end; exit; }
step 'a backup is validated and warm, and takes over'
expect_exit 0 vpn up home --set link2.priority=backup
backup_is() { has_status home "[.paths[] | select(.interface == \"link2\")] | length == 1 and .[0].state == \"standby\" and .[0].rtt_ms > 60"; }
wait_for 2 'the backup to stand by, its round trip known' backup_is
takes_over() {
  local load echo
  link_blackhole 1 off
  wait_for 20 'the first link' has_status home '[.paths[] | select(.interface == "link1") | .state == "active"] | any'
  tcp down 7
  load=$SPAWNED
  spawn_on client "$dir/echo.json" hawser-probe ping "$INET4" 5202 --rate 200 --size 100 --seconds 7 --idle 2 --trace "$dir/echo.trace"
  echo=$SPAWNED
  sleep 4
  link_blackhole 1 on
  finish $load
  finish $echo
  stall=$(jq '.stall_ms | round' "$dir/tcp.json")
  outage=$(longest_silence "$dir/echo.trace")
}
measured takes_over
printf '   the first link died: TCP stalled for %s ms (bar 300), the echo for %s ms (bar 250)\n' "$stall" "$outage"
at_most 'the stall when a backup takes over, in ms' "$stall" "$(bar 300)"
at_most 'the outage of the echo, in ms' "$outage" "$(bar 250)"
step 'and gives back'
link_blackhole 1 off
wait_for 20 'the first link' has_status home '[.paths[] | select(.interface == "link1") | .state == "active"] | any'
tcp down 6
load=$SPAWNED
sleep 2
at_most 'the share of the backup, per mille' "$(share down 2)" 5
finish $load
down home
e2e_end
