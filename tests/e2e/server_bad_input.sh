#!/usr/bin/env bash
# A stranger's datagrams: random, cut short, recorded ones again, one bit flipped in each byte, another version, an unknown key.
# None is answered, none changes a session, each is counted, and the server lives.
# timeout: 180
# sanitize: yes
# beside others: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=1 client2=1
start_server
enrol home laptop

step 'a client'"'"'s datagrams are recorded: its handshake, then data'
spawn_on client "$dir/record.log" "$programs/hawser-rawudp" record --interface link1 --port 443 --seconds 8 --out "$dir/datagrams"
sleep 0.5
up home
server4=$(inner_server4)
served() { on client ping -q -c 3 -i 0.2 -W 2 "$server4" >/dev/null; }
on client ping -q -c 30 -i 0.05 -s 1000 "$server4" >/dev/null || fail 'the tunnel does not work'
wait_for 15 'the recording' grep -q recorded= "$dir/record.log"
[ "$(grep -c '^02' "$dir/datagrams")" -ge 1 ] || fail 'no initiation was recorded'
[ "$(grep -c '^01' "$dir/datagrams")" -ge 30 ] || fail 'no data was recorded'

dropped() { server_status ".drops.$1 // 0"; }
all_dropped() { server_status '[.drops[]] | add'; }
# stranger COUNTERS ARGUMENTS..: from the other client's network; the named drop counters together grow by about what was sent.
stranger() {
  local counters=$1 before=0 after=0 sent counter
  shift
  local session; session=$(server_status '.users[0] | [.id, .since, ([.paths[].remote] | sort | join(","))] | map(tostring) | join(" ")')
  for counter in $counters; do before=$((before + $(dropped "$counter"))); done
  output=$(on client2 "$programs/hawser-rawudp" "$@" 2>&1) || fail "rawudp $*: $output"
  printf '   %-60s %s\n' "$*" "$output"
  expect_match 'silence' 'answers=0 .*errors=0' "$output"
  for counter in $counters; do after=$((after + $(dropped "$counter"))); done
  sent=$(sed -E 's/^sent=([0-9]+).*/\1/' <<<"$output")
  [ "$sent" -gt 0 ] || fail 'nothing was sent'
  [ $((after - before)) -ge $((sent * 95 / 100)) ] || fail "$counters: $((after - before)) counted of $sent sent; $(server_status .drops)"
  expect_equal 'the session afterwards' "$session" "$(server_status '.users[0] | [.id, .since, ([.paths[].remote] | sort | join(","))] | map(tostring) | join(" ")')"
  served || fail "the session broke after: $*"
}

early='malformed version mac1 handshake_auth handshake_budget unknown_index auth'
for to in "$SERVER4" "$SERVER6"; do
  step "towards $to"
  stranger "$early" noise --to "$to" --count 3000 --seed "$RANDOM"
  stranger "$early" cut --to "$to" --in "$dir/datagrams" --type 2 --limit 1
  stranger "$early" cut --to "$to" --in "$dir/datagrams" --type 1 --limit 5
  stranger 'replay expired_key unknown_index auth' resend --to "$to" --in "$dir/datagrams" --type 1
  stranger "$early replay expired_key" flip --to "$to" --in "$dir/datagrams" --type 1 --limit 2
  stranger "$early" flip --to "$to" --in "$dir/datagrams" --type 2 --limit 1
  stranger version version --to "$to" --in "$dir/datagrams" --type 2 --limit 1
done

step 'a recorded initiation again: no session changes hands, and no answer is longer than what caused it'
output=$(on client2 "$programs/hawser-rawudp" resend --to "$SERVER4" --in "$dir/datagrams" --type 2)
printf '   %s\n' "$output"
[ "$(sed -E 's/.*longest=([0-9]+).*/\1/' <<<"$output")" -le 1200 ] || fail "an answer longer than the initiation: $output"
expect 'the session lives' served
# Both ends list the link's two families, in an order of their own.
expect_equal 'its addresses' "$(status home '[.paths[].local] | sort | join(" ")')" "$(server_status '[.users[0].paths[].remote] | sort | join(" ")')"

step 'an unknown key: silence on the wire, exit 6, counted'
on client2 sh -c 'mkdir -p /etc/hawser/keys; chmod 700 /etc/hawser/keys; cat >/etc/hawser/stranger.toml' <<TOML
version = 1
[server]
endpoints = ["$SERVER4:443"]
public_key = "$(server_status .public_key)"
[client]
private_key_file = "keys/stranger.key"
[tunnel]
dns = "off"
TOML
on client2 "$programs/vpn-key" new /etc/hawser/keys/stranger.key
on client2 nft -f - <<'NFT'
table inet wire {
  chain input { type filter hook input priority 0; meta l4proto udp th sport 443 counter; }
}
NFT
from_server() { on client2 nft list table inet wire | grep -oE 'packets [0-9]+' | tr -dc 0-9; }
before=$(dropped unknown_user)
expect_exit 6 as client2 vpn up stranger --timeout 4s
expect_equal 'datagrams from the server' 0 "$(from_server)"
[ "$(dropped unknown_user)" -gt "$before" ] || fail 'the unknown key was not counted'

step 'nonsense on the control socket'
for line in '' '{' 'null' '[]' '{"op":7}' '{"op":"nope"}' '{"op":"users-changed"}' "$(head -c 3000 /dev/urandom | base64 -w0)" "$(head -c 60000 /dev/zero | tr '\0' x)"; do
  printf '%s\n' "$line" | on server "$programs/hawser-rawudp" talk --path /run/hawser/server/control.sock >>"$dir/talk.log"
done
expect 'the server lives' has_server_status '.users | length == 1'
expect 'the session lives' served
down home
e2e_end
