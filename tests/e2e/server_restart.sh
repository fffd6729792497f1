#!/usr/bin/env bash
# The server restarts, by SIGTERM or by kill -9: the client comes back by itself, with its address, and an inner connection goes on.
# timeout: 150
# sanitize: yes
# threads: yes
# beside others: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=2
start_server
enrol home laptop
up home
server4=$(inner_server4) address=$(inner4 home)
pinged() { on client ping -q -c 1 -W 1 "$server4" >/dev/null; }
expect 'served before' pinged

# An inner connection by the client to a host behind the server; it sends a line whenever the pipe gets one.
mkfifo "$dir/lines" "$dir/nothing"
exec 7<>"$dir/lines" 8<>"$dir/nothing"
# The listener's input stays open: at its end nc would close the connection.
spawn_on inet "$dir/heard.log" sh -c "exec busybox nc -l -p 7777 <'$dir/nothing'"
wait_for 5 'the listener' on inet sh -c 'ss -Hltn "sport = :7777" | grep -q LISTEN'
on client busybox nc "$INET4" 7777 <"$dir/lines" &
connection=$!
echo first >&7
wait_for 10 'the inner connection' grep -q first "$dir/heard.log"

for how in TERM KILL; do
  step "restart after SIG$how"
  if [ $how = TERM ]; then stop_server; else kill -9 "$server_pid"; wait "$server_pid" 2>/dev/null; fi
  sleep 1
  run_server
  began=$(date +%s%N)
  wait_for 30 'the client to come back' pinged
  printf '   back %d ms after the server answered its socket\n' $((($(date +%s%N) - began) / 1000000))
  expect_equal 'the address' "$address" "$(inner4 home)"
  wait_for 10 'both paths' all_active home 2
  echo "after-$how" >&7
  wait_for 30 'the inner connection to go on' grep -q "after-$how" "$dir/heard.log"
done
kill "$connection"
down home
e2e_end
