#!/usr/bin/env bash
# Two users share one bottleneck at the server's uplink: each gets 40 to 60 %, also when one has eight connections and the other
# has one. The users' own links are faster than the bottleneck and alike, so that only the sharing decides.
# parts: 1 8
# timeout: 900
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=1 client2=1 rate=100M delay=10ms queue=500k
start_server
enrol home laptop
as client2 enrol home phone
up home
as client2 up home
server4=$(inner_server4)
# The server's uplink: 40 Mbit/s and 50 ms of queue, before anything else that it sends.
on server tc qdisc add dev eth0 root tbf rate 40mbit burst 16kb latency 50ms || skip 'this kernel has no tbf'
for port in 5201 5202; do spawn_on server "$dir/iperf-$port.log" iperf3 -s -B "$server4" -p $port; done

# download HOST PORT FLOWS: 18 s, the first 8 s do not count (the two models have to find each other); leaves bits per second in $dir/HOST.bps
download() {
  on "$1" iperf3 -c "$server4" -p "$2" -R -P "$3" -C cubic -O 8 -t 10 --json >"$dir/$1.json" 2>&1
  jq -r '.end.sum_received.bits_per_second // 0' "$dir/$1.json" >"$dir/$1.bps"
}
share() {
  local flows=$1 first second
  download client 5201 1 &
  local a=$!
  download client2 5202 "$flows" &
  wait "$a" "$!"
  first=$(cat "$dir/client.bps") second=$(cat "$dir/client2.bps")
  awk -v a="$first" -v b="$second" -v n="$flows" 'BEGIN {
    if (a + b <= 0) { print "nothing was carried"; exit 1 }
    printf "   1 connection %.1f Mbit/s (%.0f %%), %d connections %.1f Mbit/s, together %.1f of 40\n", a / 1e6, 100 * a / (a + b), n, b / 1e6, (a + b) / 1e6
    exit !(a / (a + b) >= 0.4 && a / (a + b) <= 0.6 && a + b > 28e6) }'
}
wait_for 5 'the iperf3 servers' on client iperf3 -c "$server4" -p 5201 -n 1K
# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(sed -n 's/^# parts: //p' "$0")
for flows; do
  step "one connection against $flows"
  measured share "$flows"
done
e2e_end
