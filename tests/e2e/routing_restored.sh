#!/usr/bin/env bash
# Another program deletes our rules and routes, one by one and all at once, under a TCP download: each is back within a second,
# the connection goes on, and no packet for the tunnel leaves beside it. Two that fight over a rule do not spin.
# timeout: 120
# sanitize: yes
# beside others: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=2 rate=20M,30M delay=10ms,25ms nat=1,2
start_server
enrol home laptop
up home
wait_for 10 'both links' all_active home 2

# Whoever gets past the tunnel is counted at the gateways, and dropped there.
for n in 1 2; do
  on gw$n nft -f - <<'NFT' || fail "no counters at gateway $n"
table inet past {
  chain forward {
    type filter hook forward priority 0;
    ip daddr 203.0.113.0/24 counter drop
    ip6 daddr 2001:db8:113::/64 counter drop
  }
}
NFT
done
leaked() { { on gw1 nft list table inet past; on gw2 nft list table inet past; } | awk '/counter/ { for (i = 1; i < NF; ++i) if ($i == "packets") n += $(i + 1) } END { print n }'; }
ours() { on client sh -c 'ip rule; ip -6 rule; ip route show table all; ip -6 route show table all' | grep -E '^5[0-3][0-9]{2}:|table 18[5-9][0-9]{2}|table 19[0-4][0-9]{2}' | sed -E 's/ (expires [0-9]+sec|pref medium|linkdown)//g; s/[[:space:]]+$//' | sort; }
whole() { [ "$(ours)" = "$installed" ]; }
restored() { status home .tunnel.restored_routes; }

# What to delete, as the daemon's own undo log has it: each line a command.
to_delete() {
  jq -r 'select(.kind) | "\(if .family == 6 then "-6" else "-4" end) " +
    if .kind == "rule" then "rule delete pref \(.preference)" + (if .from != "" then " from \(.from)" else "" end) + (if .oif != "" then " oif \(.oif)" else "" end) + " lookup \(.table)"
    elif .kind == "route" then "route delete \(if .destination == "" then "default" else .destination end) dev \(.interface) table \(.table)" + (if .metric > 0 then " metric \(.metric)" else "" end)
    else empty end' "$(host_files client)/var/lib/hawser/home/undo.json"
}

on client ping -q -c 1 -W 1 -I link1 "$INET4" >/dev/null && fail 'a packet beside the tunnel was answered'
expect_equal 'a packet beside the tunnel' 1 "$(leaked)"

spawn_on inet "$dir/tcp-serve.log" hawser-probe tcp-serve 5201
sleep 0.3
installed=$(ours)
# One link's and the tunnel's: what holds for these holds for the other link's.
mapfile -t deletions < <(to_delete | grep -vE 'dev link2|oif link2|from (192[.]168[.]102|2001:db8:64:2:)')
step "${#deletions[@]} rules and routes, one by one"
[ "${#deletions[@]}" -ge 20 ] || fail "only ${#deletions[@]} rules and routes"
spawn_on client "$dir/tcp.json" hawser-probe tcp "$INET4" 5201 --seconds $((${#deletions[@]} * 7 / 10 + 2)) --streams 1 --congestion cubic
tcp=$SPAWNED
sleep 1
worst=0
for deletion in "${deletions[@]}"; do
  began=$(date +%s%N)
  # shellcheck disable=SC2086  # words of a command
  on client ip $deletion || fail "could not delete: $deletion"
  until whole; do
    [ $(($(date +%s%N) - began)) -lt 1000000000 ] || fail "not back within a second: $deletion
$(diff <(echo "$installed") <(ours))"
  done
  took=$((($(date +%s%N) - began) / 1000000))
  [ "$took" -le "$worst" ] || worst=$took
  sleep 0.6  # a program that does this again and again is slowed down: see below
done
wait "$tcp" || fail "the inner TCP connection broke: $(cat "$dir/tcp.json")"
printf '   each back within %d ms; longest stall of TCP %s ms, %s Mbit/s\n' "$worst" "$(jq '.stall_ms | round' "$dir/tcp.json")" "$(jq '.goodput_bps / 1e6 | round' "$dir/tcp.json")"
expect_equal 'packets past the tunnel, and the one of before' 1 "$(leaked)"
expect_equal 'the counter' "${#deletions[@]}" "$(restored)"
expect 'health says so' has_status home '.health[] | select(.code == "rules-removed") | .fix | test("ManageForeignRoutingPolicyRules")'
grep -q 'routing rules or routes of ours were removed by another program: 1 put back' "$(host_files client)/var/lib/hawser/home/log" || fail 'no line in the log'

step 'all of them at once, as when a network manager starts'
sleep 2
on client ip -batch - < <(printf '%s\n' "${deletions[@]}" | grep '^-4' | cut -c4-) || fail 'could not delete all'
wait_for 1 'all to be back' whole
expect 'the tunnel carries' on client ping -q -c 1 -W 2 "$INET4" >/dev/null

step 'another program that never tires'
before=$(restored)
began=$(date +%s%N)
rule=$(printf '%s\n' "${deletions[@]}" | grep -m 1 'rule.*oif')
deleted=0
while [ $(($(date +%s%N) - began)) -lt 5000000000 ]; do
  # shellcheck disable=SC2086
  if on client ip $rule 2>/dev/null; then deleted=$((deleted + 1)); fi
done
fought=$(($(restored) - before))
printf '   put back %d times in 5 s\n' "$fought"
[ "$fought" -ge 5 ] && [ "$fought" -le 17 ] || fail "put back $fought times in 5 s"
wait_for 2 'the last one to win' whole
down home
e2e_end
