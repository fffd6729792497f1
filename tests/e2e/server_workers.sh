#!/usr/bin/env bash
# A server with several workers: four users of two hosts, two paths each, are served wherever they hash to; traffic both ways at
# once, revocation, restart, another number of workers; with the kernel's steering nothing goes to a wrong worker, without it the
# rings carry all.
# timeout: 240
# sanitize: yes
# threads: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=2 client2=2
init_server
set_server() { on server sed -i -E "s|^($1) *=.*|\\1 = $2|" /etc/hawser/server.toml; }
set_server workers 2
run_server
server4=$(inner_server4) server6=$(inner_server6)

# Users get the second to fifth place of the pool.
users='laptop:client phone:client2 tablet:client watch:client2'
for pair in $users; do
  CLIENT=${pair#*:}
  enrol "${pair%%:*}" "${pair%%:*}"
  set_key "${pair%%:*}" route '"none"'
done

# connect USER HOST: up, with both paths. Two tunnels of one host get their packets by their own addresses.
connect() {
  local CLIENT=$2 device own table
  up "$1"
  wait_for 10 "both paths of $1" all_active "$1" 2
  device=$(status "$1" .tunnel.interface)
  for own in "$(inner4 "$1")" "$(inner6 "$1")"; do
    table=$((7000 + 0x${own##*[.:]}))
    case $own in *:*) set -- -6 ;; *) set -- -4 ;; esac
    on "$CLIENT" ip "$1" route replace default dev "$device" table $table
    [ -n "$(on "$CLIENT" ip "$1" rule show table $table)" ] || on "$CLIENT" ip "$1" rule add from "$own" table $table pref 100
  done
}
# each FUNCTION: for every user, with his host.
each() {
  local pair
  for pair in $users; do "$1" "${pair%%:*}" "${pair#*:}"; done
}
each connect

# reaches USER HOST: the server answers him and he the server, and what is behind the server answers him, by both families.
reaches() {
  local CLIENT=$2 own4 own6
  own4=$(inner4 "$1") own6=$(inner6 "$1")
  on "$2" ping -q -c 1 -W 2 -I "$own4" "$server4" >/dev/null && on "$2" ping -q -c 1 -W 2 -I "$own6" "$server6" >/dev/null &&
    on "$2" ping -q -c 1 -W 2 -I "$own4" "$INET4" >/dev/null && on "$2" ping -q -c 1 -W 2 -I "$own6" "$INET6" >/dev/null &&
    on server ping -q -c 1 -W 2 "$own4" >/dev/null && on server ping -q -c 1 -W 2 "$own6" >/dev/null
}
served() { wait_for 30 "$1 to be served" reaches "$1" "$2"; }
owners() { server_status '[.users | sort_by(.id)[] | .worker | tostring] | join(" ")'; }
sum() { server_status "[.workers[].$1] | add"; }

# traffic: all users at once, a file of 2 MB down and another up, whole.
head -c 2000000 /dev/urandom >"$dir/file"
wanted=$(sha256sum <"$dir/file")
# fetch HOST FROM-ADDRESS OF-ADDRESS
fetch() { [ "$(on "$1" curl -sf --max-time 60 --interface "$2" "http://$3:8080/file" | sha256sum)" = "$wanted" ]; }
exchange() {
  local CLIENT=$2 own pids=() failed=0
  own=$(inner4 "$1")
  fetch "$2" "$own" "$server4" & pids+=($!)
  fetch server "$server4" "$own" & pids+=($!)
  wait "${pids[0]}" || failed=1
  wait "${pids[1]}" || failed=1
  return $failed
}
traffic() {
  local pids=() pid failed=0
  start_exchange() { exchange "$1" "$2" & pids+=($!); }
  each start_exchange
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
  return $failed
}
for host in server client client2; do
  spawn_on $host "$dir/httpd-$host.log" hawser-httpd "$dir" 8080 0.0.0.0
  wait_for 5 "the file server of $host" on $host sh -c 'ss -Hltn "sport = :8080" | grep -q LISTEN'
done

step 'every user is served by the worker of his place, and the work is shared'
each served
expect_equal 'owners' '0 1 0 1' "$(owners)"
expect_equal 'sessions of each worker' '2 2' "$(server_status '[.workers[].sessions | tostring] | join(" ")')"
expect 'traffic of all users, both ways' traffic
printf '   steering %s; handed on: %s datagrams, %s packets\n' "$(server_status '.steering | "\(.udp), \(.tun)"')" "$(sum handed_datagrams)" "$(sum handed_packets)"
expect_equal 'who steers' 'program program' "$(server_status '.steering | "\(.udp) \(.tun)"')"
expect_equal 'handed on although the kernel steers' '0 0' "$(sum handed_datagrams) $(sum handed_packets)"
expect 'the table names the workers' grep -q '^2 workers' <<<"$(vpn_server status)"

step 'sessions begin anew, whichever worker takes the handshake'
reconnect() {
  as "$2" down "$1"
  connect "$1" "$2"
}
for i in 1 2 3; do each reconnect; done
each served
expect_equal 'owners' '0 1 0 1' "$(owners)"

step 'a user of each worker is cut at once, the others stay, and he comes back'
for pair in phone:client2 tablet:client; do
  user=${pair%%:*}
  expect_exit 0 vpn_server user disable "$user"
  refuse "$user has no session" has_server_status ".users[] | select(.user == \"$user\")"
  expect_equal 'sessions' 3 "$(server_status .sessions)"
  as "${pair#*:}" down "$user"
  expect_exit 0 vpn_server user enable "$user"
  connect "$user" "${pair#*:}"
  expect_equal 'sessions' 4 "$(server_status .sessions)"
done
each served
expect_equal 'owners' '0 1 0 1' "$(owners)"

# again WORKERS OFFLOAD OWNERS: everything once more after a restart under which the clients stay up.
again() {
  stop_server
  set_server workers "$1"
  set_offload "$2" server
  run_server
  each served
  expect_equal "owners with $1 workers" "$3" "$(owners)"
  expect 'traffic of all users, both ways' traffic
  printf '   steering %s; handed on: %s datagrams, %s packets; dropped %s\n' "$(server_status '.steering | "\(.udp), \(.tun)"')" \
    "$(sum handed_datagrams)" "$(sum handed_packets)" "$(server_status .drops.worker_ring)"
}
step 'after a restart, without any help of the kernel'
again 2 '"off"' '0 1 0 1'
expect_equal 'who steers' 'rings rings' "$(server_status '.steering | "\(.udp) \(.tun)"')"
expect 'the rings carry datagrams and packets' has_server_status '([.workers[].handed_datagrams] | add) > 100 and ([.workers[].handed_packets] | add) > 100'

step 'after a restart with another number of workers; the kernel steers the datagrams only'
again 3 '["udp-gso", "udp-gro", "tun-tso", "udp-steering"]' '2 0 1 2'
expect_equal 'who steers' 'program rings' "$(server_status '.steering | "\(.udp) \(.tun)"')"

step 'after a restart with one worker'
again 1 '"auto"' '0 0 0 0'
expect_equal 'who steers' 'null null' "$(server_status '.steering | "\(.udp) \(.tun)"')"
hang_up() { as "$2" down "$1"; }
each hang_up
e2e_end
