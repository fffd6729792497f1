#!/usr/bin/env bash
# NetworkManager's word: a link that it calls metered is secondary, or not used at all where the profile says so, from the first
# byte on and whenever the word changes; a login page in between is named. Where it does not run, or stops, all goes on.
# timeout: 120
# sanitize: yes
# beside others: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
command -v dbus-daemon >/dev/null || skip 'needs dbus-daemon'
lab links=2 family=4 rate=20M delay=10ms,20ms
start_server --endpoint "$SERVER4:443"
enrol home laptop
for n in 1 2; do # the kernel asks again who a neighbour is, when it likes: those bytes are none of the tunnel's
  on client ip neigh change "$(gateway_address4 $n)" dev link$n nud permanent
  on "gw$n" ip neigh change "$(link_address4 $n)" dev lan nud permanent
done
profile=$(host_files client)/etc/hawser/home.toml

cat >"$dir/bus.conf" <<X
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_destination="*"/><allow receive_sender="*"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/></policy></busconfig>
X
mkdir -p "$(host_files client)/run/dbus"
spawn_on client "$dir/bus.log" dbus-daemon --nofork --config-file="$dir/bus.conf"
bus=$SPAWNED
wait_for 5 'the bus' test -S "$(host_files client)/run/dbus/system_bus_socket"
mkfifo "$dir/commands"
# start_networkmanager COMMAND..: with these words from the start.
start_networkmanager() {
  : >"$dir/networkmanager.log"
  spawn_on client "$dir/networkmanager.log" sh -c "exec hawser-networkmanager link1 link2 <'$dir/commands'"
  manager=$SPAWNED
  exec 7>"$dir/commands"
  wait_for 5 'NetworkManager' grep -q running "$dir/networkmanager.log"
  local command
  for command in "$@"; do say "$command"; done
}
stop_networkmanager() { kill "$manager" && wait "$manager"; exec 7>&-; }
# say COMMAND: to NetworkManager; it has told everybody when it answers.
say() {
  local before
  before=$(grep -c done "$dir/networkmanager.log")
  echo "$1" >&7
  said() { [ "$(grep -c done "$dir/networkmanager.log")" -gt "$before" ]; }
  wait_for 5 "$1" said
}
of_link2() { status home '[.paths[] | select(.interface == "link2")] | (map(select(.state == "active"))[0] // .[0]) | "\(.state) \(.priority) metered=\(.metered) \(.reason)"'; }
is() { [ "$(of_link2)" = "$*" ]; }
health() { status home '[.health[] | select(.code == "portal") | .interface] | join(" ")'; }

step 'no NetworkManager on the bus'
up home
wait_for 5 'both links' all_active home 2
expect_equal 'link2' 'active always metered=false null' "$(of_link2)"

step 'it comes, and calls a link metered; changes its mind'
start_networkmanager 'link2 metered 1'
wait_for 2 'the metered link to be secondary' is 'active secondary metered=true null'
say 'link2 metered 4'
wait_for 2 'it to be like the other' is 'active always metered=false null'
say 'link2 metered 3'
wait_for 2 'the guess to count' is 'active secondary metered=true null'
stop_networkmanager
sleep 0.5
expect_equal 'what it said last' 'active secondary metered=true null' "$(of_link2)"
start_networkmanager
say 'link2 metered 4'
wait_for 2 'the new one to be heard' is 'active always metered=false null'
step 'somebody who is not NetworkManager'
on client hawser-networkmanager forge /org/freedesktop/NetworkManager/Devices/2 1
sleep 0.5
expect_equal 'link2' 'active always metered=false null' "$(of_link2)"
stop_networkmanager
down home

step 'a metered link that is not to be used carries not a byte'
cp "$profile" "$dir/profile"
printf '\n[[path]]\nmatch = { metered = true }\npriority = "never"\n' >>"$profile"
start_networkmanager 'link2 metered 1'
before=$(link_get 2 up in_bytes)
began=$(date +%s%N)
up home
printf '   connected after %s ms\n' $((($(date +%s%N) - began) / 1000000))
sleep 1
expect_equal 'link2' 'unavailable never metered=true never' "$(of_link2)"
stop_networkmanager
start_networkmanager # which has not looked at its devices yet
sleep 0.5
say 'link2 metered 3'
expect_equal 'link2 after a restart' 'unavailable never metered=true never' "$(of_link2)"
expect_equal 'bytes on the link' "$before" "$(link_get 2 up in_bytes)"
down home
cp "$dir/profile" "$profile"

step 'a login page'
say 'link2 metered 4'
up home
wait_for 5 'both links' all_active home 2
say 'link2 portal 2'
sleep 0.5
expect_equal 'a path that works' 'active always metered=false null' "$(of_link2)"
expect_equal 'health' '' "$(health)"
link_blackhole 2 on
wait_for 5 'the reason' is 'lost always metered=false portal'
expect_equal 'health' 'link2' "$(health)"
expect_match 'the table' 'login first \(captive portal\)' "$(vpn status home)"
link_blackhole 2 off
wait_for 10 'the link to work after the login' is 'active always metered=false null'
expect_equal 'health' '' "$(health)"
down home
link_blackhole 2 on
link_down 1
expect_exit 6 vpn up home --timeout 2s
expect_match 'why nothing answers' 'link2 +sent [0-9]+, no reply: this network wants a login first' "$output"
link_blackhole 2 off
link_up 1

step 'the bus goes'
say 'link2 portal 4'
say 'link2 metered 1'
up home
wait_for 5 'both links' all_active home 2
daemon=$(on client pgrep -f 'vpn-up home')
kill "$bus"
wait "$bus"
ticks() { awk '{ print $14 + $15 }' "/proc/$daemon/stat"; }
before=$(ticks)
sleep 1
expect_equal 'link2' 'active secondary metered=true null' "$(of_link2)"
[ $(($(ticks) - before)) -le 20 ] || fail "it is busy: $(($(ticks) - before)) of 100 ticks in a second"
down home
e2e_end
