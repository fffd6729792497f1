#!/usr/bin/env bash
# vpn-server's commands without a client: init, invite, user, the refusals and exit codes of CLI.md, start and stop.
# timeout: 120
# sanitize: yes
# beside others: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=1

config=$(host_files server)/etc/hawser state=$(host_files server)/var/lib/hawser
file_mode() { stat -c %a "$1"; }

step 'what is documented but not built is refused by name'
for refused in 'check' 'status --watch' 'status --watch=2s' 'invite laptop --qr' 'invite laptop --limit 100M'; do
  # shellcheck disable=SC2086
  expect_exit 2 vpn_server $refused
  expect_match "$refused" 'not in this version' "$output"
done
for usage in '' 'frobnicate' 'user' 'user show' 'user list extra' 'invite' 'init --listen 0' 'init --listen 70000' 'init --ipv4 10.9.0.1/16' \
  'init --ipv4 fd00::/48' 'init --ipv6 10.0.0.0/8' 'init --allow-key laptop' 'init --allow-key La=x' 'invite server' 'invite UPPER' \
  'invite laptop --expires 0s' 'invite laptop --expires soon' '--color blue status'; do
  # shellcheck disable=SC2086
  expect_exit 2 vpn_server $usage
done
expect_exit 0 vpn_server --help
expect_match 'help' 'invite' "$output"
expect_exit 0 vpn_server invite -h
expect_match 'help of a subcommand' 'expires' "$output"
expect_exit 0 vpn_server -V
expect_match 'version' '^vpn-server [0-9]' "$output"

step 'nothing works before init, and says so'
for early in run 'invite laptop' 'user list'; do
  # shellcheck disable=SC2086
  expect_exit 5 vpn_server $early
  expect_match "$early" 'vpn-server init' "$output"
done
expect_exit 3 vpn_server status
expect_exit 3 vpn_server reload

step 'init where only private addresses are found: exit 5, nothing written, and the hint works'
# On a host whose only interface has a private address.
private_only() {
  unshare --net sh -c 'ip link add veth0 type veth peer name veth1; ip link set veth0 up; ip link set veth1 up
    ip addr add 192.168.7.2/24 dev veth0; exec "$@"' sh "$programs/vpn-server" init --config-dir "$dir/elsewhere/etc" --state-dir "$dir/elsewhere/state" "$@"
}
expect_exit 5 private_only
expect_match 'the hint' '192\.168\.7\.2.*--endpoint' "$output"
[ ! -e "$dir/elsewhere" ] || fail 'a failed init wrote something'
expect_exit 0 private_only --endpoint vpn.example.org:4443 --listen 4443
expect_exit 5 unshare --net "$programs/vpn-server" init --config-dir "$dir/nowhere/etc" --state-dir "$dir/nowhere/state"

step 'init finds the public addresses and writes what CLI.md says'
umask 022
expect_exit 0 vpn_server init --no-start
grep -q "$SERVER4:443" "$config/server.toml" || fail "the public IPv4 address is not in server.toml: $(cat "$config/server.toml")"
grep -q "\[$SERVER6\]:443" "$config/server.toml" || fail 'the public IPv6 address is not in server.toml'
grep -Eq 'ipv6 *= *"fd[0-9a-f:]+::/48"' "$config/server.toml" || fail 'no random ULA /48 in server.toml'
expect_equal 'mode of the key' 600 "$(file_mode "$config/keys/server.key")"
expect_equal 'mode of keys/' 700 "$(file_mode "$config/keys")"
expect_equal 'mode of server.toml' 644 "$(file_mode "$config/server.toml")"
expect_equal 'mode of the registry' 600 "$(file_mode "$state/registry.db")"

step 'init is idempotent, and options that contradict the file are a conflict'
before=$(cat "$config/server.toml" "$config/keys/server.key" | sha256sum)
expect_exit 0 vpn_server init --no-start
expect_exit 0 vpn_server init --no-start --listen 443 --endpoint "$SERVER4"
expect_exit 10 vpn_server init --no-start --listen 444
expect_exit 10 vpn_server init --no-start --endpoint 192.0.2.9
expect_exit 10 vpn_server init --no-start --ipv4 10.10.0.0/16
expect_equal 'files after repeated init' "$before" "$(cat "$config/server.toml" "$config/keys/server.key" | sha256sum)"

step '--allow-key lets a user in by public key; twice is once; a bad key or a taken name is told'
key=$(head -c 32 /dev/urandom | base64)
expect_exit 0 vpn_server init --no-start --allow-key "desk=$key"
expect_exit 0 vpn_server init --no-start --allow-key "desk=$key"
expect_exit 5 vpn_server init --no-start --allow-key "desk=tooshort"
expect_exit 10 vpn_server init --no-start --allow-key "desk=$(head -c 32 /dev/urandom | base64)"
expect_equal 'the allowed user' "desk active $key" "$(vpn_server user list --json | jq -r '.users[] | "\(.name) \(.state) \(.public_key)"')"

step 'invite: exactly one line on stdout, without a server running; options before and after the subcommand'
text=$(vpn_server invite laptop 2>/dev/null)
expect_equal 'lines of an invite' 1 "$(wc -l <<<"$text")"
expect_match 'invite' '^hawser1:[A-Za-z0-9_-]+$' "$text"
text=$(vpn_server invite phone --expires 15m --config-dir /etc/hawser --state-dir /var/lib/hawser -q 2>&1)
expect_match 'quiet invite' '^hawser1:[A-Za-z0-9_-]+$' "$text"
expect_exit 5 vpn_server --state-dir /var/lib/hawser --config-dir "$dir/none" invite phone

step 'user commands without a server running'
expect_equal 'users' 'desk laptop phone' "$(vpn_server user list --json | jq -r '[.users[].name] | sort | join(" ")')"
expect_equal 'schema' hawser.server-users/1 "$(vpn_server --quiet user list --json | jq -r .schema)"
first_address=$(vpn_server user show laptop --json | jq -r '.users[0].addresses[0]')
expect_match 'an address of the block' '^10\.9\.' "$first_address"
expect_exit 0 vpn_server user disable desk
expect_equal 'disabled' disabled "$(vpn_server user show desk --json | jq -r '.users[0].state')"
expect_exit 0 vpn_server user disable desk
expect_exit 10 vpn_server invite desk
expect_exit 0 vpn_server user enable desk
expect_equal 'enabled' active "$(vpn_server user show desk --json | jq -r '.users[0].state')"
expect_exit 0 vpn_server user remove phone
expect_equal 'removed' removed "$(vpn_server user show phone --json | jq -r '.users[0].state')"
expect_equal 'users after removal' 'desk laptop' "$(vpn_server user list --json | jq -r '[.users[].name] | sort | join(" ")')"
expect_exit 5 vpn_server user show nobody
expect_exit 5 vpn_server user remove nobody

step 'a key that others can read is refused with the chmod line'
chmod 644 "$config/keys/server.key"
expect_exit 5 vpn_server run
expect_match 'the chmod line' 'chmod 0?600' "$output"
chmod 600 "$config/keys/server.key"

step 'broken TOML: file, line, column and the fix'
cp "$config/server.toml" "$dir/good.toml"
sed -i 's/^nat .*/nat = "yes"/' "$config/server.toml"
expect_exit 5 vpn_server run
expect_match 'position' "server\.toml:[0-9]+:[0-9]+: " "$output"
cp "$dir/good.toml" "$config/server.toml"
sed -i 's/^nat .*/nta = true/' "$config/server.toml"
expect_exit 5 vpn_server run
expect_match 'suggestion' 'did you mean "nat"' "$output"
cp "$dir/good.toml" "$config/server.toml"

step 'no TUN: exit 8; without root: exit 4; port taken: exit 8 and which'
no_tun() { on server unshare --mount sh -c 'mount -t tmpfs tmpfs /dev/net && exec "$@"' sh "$programs/vpn-server" run; }
expect_exit 8 no_tun
expect_match 'no TUN' '/dev/net/tun' "$output"
no_capability() { on server setpriv --bounding-set -net_admin --inh-caps -net_admin "$programs/vpn-server" run; }
expect_exit 4 no_capability
expect_match 'no root' 'sudo' "$output"
state_before=$(net_state server)
spawn_on server "$dir/holder.log" "$programs/hawser-rawudp" hold --port 443
holder=$SPAWNED
wait_for 5 'the port to be taken' grep -q holding "$dir/holder.log"
expect_exit 8 vpn_server run
expect_match 'port taken' ':443' "$output"
kill "$holder"
wait "$holder" 2>/dev/null
expect_equal 'the network after failed starts' "$state_before" "$(net_state server)"

step 'a running server: status, a second instance, reload, permission, clean stop'
run_server
expect_equal 'schema' hawser.server-status/1 "$(server_status .schema)"
expect_match 'status for people' 'sessions' "$(vpn_server status)"
expect_exit 10 vpn_server run
expect_match 'forwarding is told' 'ip_forward: 0 -> 1' "$(cat "$dir"/server-*.log)"
expect_exit 0 vpn_server reload
sed -i 's/^nat .*/nat = false/' "$config/server.toml"
expect_exit 0 vpn_server reload
if on server nft list ruleset | grep -q masquerade; then fail 'reload left NAT on'; fi
cp "$dir/good.toml" "$config/server.toml"
kill -HUP "$server_pid"
masquerades() { on server nft list ruleset | grep -q masquerade; }
wait_for 5 'SIGHUP to bring NAT back' masquerades
sed -i 's/^interface .*/interface = "other0"/' "$config/server.toml"
expect_exit 5 vpn_server reload
expect_match 'what needs a restart' 'restart' "$output"
echo 'nonsense' >"$config/server.toml"
expect_exit 5 vpn_server reload
cp "$dir/good.toml" "$config/server.toml"
as_nobody() { on server setpriv --reuid 65534 --regid 65534 --clear-groups "$programs/vpn-server" "$@"; }
expect_exit 0 as_nobody status
expect_exit 4 as_nobody reload
stop_server
expect_equal 'the network after a clean stop' "$state_before" "$(net_state server)"

step 'killed: the next start takes over what was left, and its stop leaves nothing'
run_server
kill -9 "$server_pid"
wait "$server_pid" 2>/dev/null
run_server
stop_server
expect_equal 'the network after kill -9, start and stop' "$state_before" "$(net_state server)"
e2e_end
