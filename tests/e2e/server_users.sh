#!/usr/bin/env bash
# Several users on one server: each reaches the server and, through NAT, a host behind it, not each other and not the metadata
# service; a removed or disabled user is cut at once and told why; used and dead invites; a replacement keeps the address.
# timeout: 180
# sanitize: yes
# threads: yes
# beside others: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=2 client2=1
start_server
enrol home laptop
as client2 enrol home phone
up home
as client2 up home

reaches() { on "$1" ping -q -c 1 -W 3 "$2" >/dev/null; }
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
server4=$(inner_server4) server6=$(inner_server6)
laptop4=$(inner4 home) laptop6=$(inner6 home)
phone4=$(as client2 inner4 home) phone6=$(as client2 inner6 home)
expect_equal 'users with a session' 'laptop phone' "$(server_status '[.users[].user] | sort | join(" ")')"

for host in client client2; do
  expect "$host reaches the server inside, IPv4" reaches $host "$server4"
  expect "$host reaches the server inside, IPv6" reaches $host "$server6"
  expect "$host reaches a host behind the server, IPv4" reaches $host "$INET4"
  expect "$host reaches a host behind the server, IPv6" reaches $host "$INET6"
done

step 'the host behind the server sees the server, not the users'
on inet nft -f - <<'NFT'
table ip seen {
  chain input { type filter hook input priority 0; ip protocol icmp ip saddr 203.0.113.1 counter; ip protocol icmp counter; }
}
NFT
reaches client "$INET4"
expect_equal 'pings from the server and in all' '1 1' "$(on inet nft list table ip seen | grep -oE 'packets [0-9]+' | tr -dc '0-9\n' | tr '\n' ' ' | sed 's/ $//')"

expect 'the metadata service answers the server itself' reaches server "$METADATA4"
refuse 'a user does not reach the metadata service' reaches client "$METADATA4"
refuse 'a user does not reach another, IPv4' reaches client "$phone4"
refuse 'a user does not reach another, IPv6' reaches client "$phone6"
refuse 'nor the other way round' reaches client2 "$laptop4"

step 'a packet with an address that is not the user'"'"'s goes nowhere and is counted'
tunnel=$(status home .tunnel.interface)
on client ip addr add 10.9.99.99/32 dev "$tunnel"
if on client ping -q -c 2 -i 0.2 -W 1 -I 10.9.99.99 "$server4" >/dev/null; then fail 'a spoofed source was answered'; fi
on client ip addr del 10.9.99.99/32 dev "$tunnel"
expect 'spoofed packets are counted' has_server_status '.drops.spoofed_source >= 2'

# cut_off USER HOST ACTION..: the action must stop HOST's pings within half a second; its time is printed.
cut_off() {
  local user=$1 host=$2 began last log=$dir/ping-$1-$RANDOM.log
  shift 2
  spawn_on "$host" "$log" ping -D -i 0.05 "$server4"
  local pinger=$SPAWNED
  wait_for 5 'replies before the cut' grep -q 'icmp_seq=3' "$log"
  began=$(date +%s.%N)
  "$@" || fail "exit $? of: $*"
  if has_server_status ".users[] | select(.user == \"$user\")"; then fail "$user has a session after: $*"; fi
  sleep 1.5
  kill "$pinger"
  last=$(grep -oE '^\[[0-9.]+\] [0-9]+ bytes' "$log" | tail -n 1 | tr -dc '0-9. ' | cut -d' ' -f1)
  awk -v a="$began" -v b="$last" -v u="$user" 'BEGIN { d = b - a; printf "   %s: last reply %.3f s after the command began\n", u, d; exit !(d < 0.5) }' ||
    fail "$user was still served long after: $*"
}
# told PATTERN HOST: vpn-up says it and exits 7.
told() {
  expect_exit 7 as "$2" vpn up home
  expect_match "what $2 is told" "$1" "$output"
}

step 'a disabled user is cut at once, told why, and comes back when enabled'
cut_off phone client2 vpn_server user disable phone
wait_for 10 'the client to go down' eval '! as client2 has_status home ".state == \"connected\""'
as client2 down home
told 'disabled' client2
expect_exit 0 vpn_server user enable phone
as client2 up home
expect_equal 'the address after enable' "$phone4" "$(as client2 inner4 home)"

step 'a removed user is cut at once, cannot return, and is told why; the other does not notice'
cut_off laptop client vpn_server user remove laptop
wait_for 10 'the client to go down' eval '! has_status home ".state == \"connected\""'
down home
told 'removed' client
told 'removed' client
expect 'the other user is still served' reaches client2 "$INET4"
expect_equal 'users with a session' phone "$(server_status '[.users[].user] | join(" ")')"

step 'the name is free again, and the new user is another'
enrol home2 laptop
up home2
expect 'the new laptop is served' reaches client "$server4"
down home2
told 'removed' client

step 'an invite serves one device'
used=$(invite tablet)
expect_exit 0 vpn join tablet - <<<"$used"
expect_exit 7 as client2 vpn join stolen - <<<"$used"
expect_match 'told' 'used' "$output"
expired=$(invite late --expires 1s)
sleep 2.1
expect_exit 7 vpn join late - <<<"$expired"
expect_match 'told' 'expired' "$output"
dead=$(invite gone)
vpn_server user remove gone 2>/dev/null
expect_exit 7 vpn join gone - <<<"$dead"

step 'a replacement: addresses stay, the device before it is cut when the invite is used, and not before'
replacement=$(invite phone)
expect 'the old device is served until then' reaches client2 "$server4"
spawn_on client2 "$dir/old-device.log" ping -i 0.1 "$server4"
expect_exit 0 vpn join newphone - <<<"$replacement"
up newphone
expect_equal 'the address after replacement' "$phone4" "$(inner4 newphone)"
expect 'the new device is served' reaches client "$server4"
kill "$SPAWNED"
wait_for 10 'the old device to be cut' eval '! as client2 has_status home ".state == \"connected\""'
as client2 down home
told 'removed|replaced' client2
expect 'the new device is still served' reaches client "$INET4"
down newphone
e2e_end
