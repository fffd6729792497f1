#!/usr/bin/env bash
# Inner TCP with the kernel's offloads on and off, over a link that loses and reorders, with ECN: every file arrives whole by
# IPv4 and IPv6 in both directions, super-packets are counted where they are used and absent where they are not.
# timeout: 240
# sanitize: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=1 rate=200M delay=2ms link1="loss=0.5% queue=200k"
init_server
run_server
enrol home laptop
set_key home route '["10.9.0.0/16", "fd00::/8"]'
head -c 12000000 /dev/urandom >"$dir/file"
wanted=$(sha256sum <"$dir/file")
for host in client server; do on $host sh -c 'echo 1 >/proc/sys/net/ipv4/tcp_ecn'; done

# The offloads in use and the super-packets of one end, as "gso gro tso uso" and "sent received read written".
in_use() { jq -r '.offload | [."udp-gso", ."udp-gro", ."tun-tso", ."tun-uso"] | map(tostring) | join(" ")'; }
supers() { jq -r '.offload | [.udp_sent, .udp_received, .tun_read, .tun_written] | map(if . > 0 then "+" else "0" end) | join(" ")'; }

# transfer FROM TO ADDRESS-OF-FROM: the file, checked.
transfer() {
  local from=$1 to=$2 address=$3 got port=8080
  spawn_on "$from" "$dir/httpd-$from.log" hawser-httpd "$dir" $port "$address"
  local httpd=$SPAWNED url=$address
  case $address in *:*) url="[$address]" ;; esac
  wait_for 5 "the file server at $address" on "$to" curl -sf -o /dev/null -r 0-0 "http://$url:$port/file"
  got=$(on "$to" curl -sf --max-time 60 "http://$url:$port/file" | sha256sum)
  kill "$httpd"
  wait "$httpd" 2>/dev/null
  expect_equal "the file from $from by $address" "$wanted" "$got"
}

# round VALUE-FOR-BOTH IN-USE SUPERS: a session with that setting.
round() {
  step "offload = $1"
  stop_server
  set_offload "$1"
  run_server
  up home
  local inner
  for family in 4 6; do
    transfer server client "$(inner_server$family)"
    inner=$(inner$family home)
    transfer client server "$inner"
  done
  expect_equal 'in use at the client' "$2" "$(vpn status home --json | in_use)"
  expect_equal 'in use at the server' "$2" "$(vpn_server status --json | in_use)"
  expect_equal 'super-packets at the client' "$3" "$(vpn status home --json | supers)"
  expect_equal 'super-packets at the server' "$3" "$(vpn_server status --json | supers)"
  expect_equal 'none refused' '0 0' "$(status home .offload.fallbacks) $(server_status .offload.fallbacks)"
  down home
}

# The emulated link cuts what is sent together, and so nothing arrives together.
uso=$(vpn_server status --json | jq -r '.offload."tun-uso"')
round '"auto"' "true true true $uso" '+ 0 + +'
round '"off"' 'false false false false' '0 0 0 0'
round '["tun-tso"]' 'false false true false' '0 0 + +'
round '["udp-gso", "udp-gro"]' 'true true false false' '+ 0 0 0'
expect_exit 5 on client sh -c "sed 's/^offload.*/offload = [\"tun-uso\"]/' /etc/hawser/home.toml >/etc/hawser/odd.toml; $programs/vpn-up odd"
expect_match 'why' 'tun-tso' "$output"
e2e_end
