#!/usr/bin/env bash
# Every exit code of CLI.md is provoked, its message says what to do, and a failed vpn-up leaves nothing behind.
# timeout: 240
# sanitize: yes
# beside others: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=2 rate=50M delay=5ms
start_server
before=$(net_state client)
unchanged() { expect_equal "rules, routes and devices after $1" "$before" "$(net_state client)"; }
not_running() { [ "$(vpn status "$1" --json | jq -r .state)" = down ]; }
without_net_admin() { on "$CLIENT" setpriv --bounding-set=-net_admin "$@"; }

step '2: usage'
expect_exit 2 vpn up home --no-such-option
expect_exit 2 vpn up home --foreground --no-wait
expect_exit 2 vpn up home --timeout soon
expect_exit 2 vpn up ../no/home.tom
expect_exit 2 vpn up Home
expect_exit 2 vpn up server
expect_exit 2 vpn join home hawser1:secret-in-argv
expect_match 'why an invite is no argument' 'others can read it' "$output"
expect_exit 2 vpn status --events
expect_match 'unbuilt option' 'not in this version' "$output"
expect_exit 2 vpn status --prometheus
expect_match 'unbuilt option' 'not in this version' "$output"
expect_exit 2 vpn down home --unlock
expect_match 'unbuilt option' 'not in this version' "$output"
for command in up down status join key; do
  expect_exit 0 vpn $command --help
  expect_exit 0 vpn $command -V
  expect_match 'version' "^vpn-$command [0-9]+\\.[0-9]+\\.[0-9]+$" "$output"
done

step '5: configuration'
expect_exit 5 vpn up
expect_match 'no profile at all' 'vpn-join' "$output"
expect_exit 5 vpn up home
expect_match 'no such profile' 'vpn-join home' "$output"
expect_exit 5 vpn join home - <<<'hawser1:nonsense'
enrol home laptop
on client cp /etc/hawser/home.toml "$dir/home.toml"
set_key home level '"inof"'
expect_exit 5 vpn up home
expect_match 'file, line, column and a suggestion' '/etc/hawser/home\.toml:[0-9]+:[0-9]+: .*did you mean "info"' "$output"
on client cp "$dir/home.toml" /etc/hawser/home.toml
printf 'kill_swich = "off"\n' | on client tee -a /etc/hawser/home.toml >/dev/null
expect_exit 5 vpn up home
on client cp "$dir/home.toml" /etc/hawser/home.toml
on client chmod 644 /etc/hawser/keys/home.key
expect_exit 5 vpn up home
expect_match 'the chmod line' 'chmod .*/etc/hawser/keys/home\.key' "$output"
on client chmod 600 /etc/hawser/keys/home.key
unchanged 'configuration errors'

step '3: not running'
expect_exit 3 vpn up home --set link1.priority=backup
expect_exit 3 vpn status home --check
expect_exit 0 vpn status home
expect_match 'a profile that is down' 'down' "$output"
expect_exit 0 vpn down home
expect_exit 0 vpn down --all

step '4: permission'
expect_exit 4 without_net_admin "$programs/vpn-up" home
expect_match 'the command with sudo' 'sudo vpn-up home' "$output"
expect_exit 4 without_net_admin "$programs/vpn-up" home --cleanup

step '8: no TUN'
expect_exit 8 on client unshare --mount sh -c 'mount -t tmpfs none /dev/net && exec "$@"' sh "$programs/vpn-up" home
expect_match 'what is missing' '/dev/net/tun' "$output"
unchanged 'no TUN'

step '6: nobody answers'
link_blackhole 1 on
link_blackhole 2 on
expect_exit 6 vpn up home --timeout 2s
expect_match 'the server' '198\.51\.100\.1:443' "$output"
expect_match 'a line per interface' 'link1 +sent [1-9][0-9]*, no reply' "$output"
expect_match 'a line per interface' 'link2 +sent [1-9][0-9]*, no reply' "$output"
expect_match 'where the log is' '/var/lib/hawser/home/log' "$output"
expect_exit 3 vpn status home --check
unchanged 'an unreachable server'
# A join that gets no answer leaves no profile, but the key that may have been accepted.
invite tablet | expect_exit 6 vpn join away -
if on client test -e /etc/hawser/away.toml; then fail 'a failed vpn-join left a profile'; fi
link_blackhole 1 off
link_blackhole 2 off

step '6: the wrong server key'
on client "$programs/vpn-key" new "$dir/other.key" 2>/dev/null
other=$(on client "$programs/vpn-key" pub "$dir/other.key")
on client cp /etc/hawser/home.toml /etc/hawser/wrong.toml
set_key wrong public_key "\"$other\""
expect_exit 6 vpn up wrong --timeout 2s
expect_match 'the hint' 'public_key' "$output"
on client rm /etc/hawser/wrong.toml
unchanged 'a wrong server key'

step '9: an answer, but no round trip'
on server nft -f - <<'NFT'
table inet deaf {
  chain input {
    type filter hook input priority 0; policy accept;
    iifname "hawser-srv" drop
  }
}
NFT
expect_exit 9 vpn up home --timeout 2s
expect_match 'what happened' 'the server answered' "$output"
on server nft delete table inet deaf
unchanged 'no round trip'

step '130: interrupted'
link_blackhole 1 on
link_blackhole 2 on
spawn_on client "$dir/interrupted.log" "$programs/vpn-up" home
waiting=$SPAWNED
wait_for 5 'the daemon to run' on client test -S /run/hawser/home/control.sock
kill -INT "$waiting"
code=0
wait "$waiting" || code=$?
expect_equal 'exit code after Ctrl-C' 130 "$code"
wait_for 5 'the daemon to end' not_running home
link_blackhole 1 off
link_blackhole 2 off
expect_exit 3 vpn status home --check
unchanged 'Ctrl-C'

step '7: refused'
once=$(invite once)
printf '%s\n' "$once" | vpn join first - >>"$dir/join.log" 2>&1 || fail "joining with a fresh invite: exit $?"
expect_exit 7 vpn join second - <<<"$once"
expect_match 'a used invite' 'used already' "$output"
if on client test -e /etc/hawser/second.toml; then fail 'a refused vpn-join left a profile'; fi
short=$(invite short --expires 1s)
sleep 1.2
expect_exit 7 vpn join second - <<<"$short"
expect_match 'an expired invite' 'expired' "$output"
vpn_server user remove once 2>>"$dir/server-cli.log"
expect_exit 7 vpn up first --timeout 5s
expect_match 'a removed user' 'removed' "$output"
unchanged 'a refusal'

step '10: conflict, and 0'
expect_exit 10 vpn join home - <<<"$(invite laptop)"
expect_match 'what to do about an existing profile' '--force' "$output"
expect_exit 0 vpn up home
expect_match 'connected' 'home: connected in .* to (198\.51\.100\.1|.2001:db8:51::1.) as 10\.9\.0\.' "$output"
expect_match 'what is said about DNS' 'DNS is not touched' "$output"
expect_exit 0 vpn up home
expect_match 'already running: the status' 'link1' "$output"
expect_exit 10 vpn up home --only link1
expect_match 'the difference' '--only link1' "$output"
expect_exit 10 vpn up "$dir/home.toml"
expect_exit 10 vpn up home --foreground
expect_exit 10 vpn up home --cleanup
enrol office desk
expect_exit 10 vpn up office
expect_match 'who has all traffic' 'home has all traffic' "$output"
expect_exit 0 vpn status home --check
expect_exit 0 vpn down home
unchanged 'vpn-down'

step '6 of --check: the server goes silent while we are up'
up home
link_blackhole 1 on
link_blackhole 2 on
wait_for 60 'the client to notice' has_status home '.state == "reconnecting"'
expect_exit 6 vpn status home --check
expect 'routes stay: nothing leaks' has_status home '.tunnel.routes | length == 2'
link_blackhole 1 off
link_blackhole 2 off
wait_for 30 'the session to resume by itself' has_status home '.state == "connected"'
down home
unchanged 'all of it'
e2e_end
