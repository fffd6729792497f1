#!/usr/bin/env bash
# vpn-join: the key is on disk before anything is sent, a failure leaves no profile, --force keeps a backup, a user known by key
# joins without invite; vpn-key.
# timeout: 180
# sanitize: yes
# beside others: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=2 rate=50M delay=5ms
start_server --ipv6 fd00:5::/48
mode() { on client stat -c %a "$1"; }
reaches() { on client ping -q -c 1 -W 3 "$1" >/dev/null; }

step 'by a pipe, by a file, and what is written'
expect_exit 0 vpn join home - <<<"$(invite laptop)"
expect_match 'addresses' 'enrolled at (198\.51\.100\.1|.2001:db8:51::1.):443 as 10\.9\.0\.2, fd00:5::' "$output"
expect_match 'links and their round trips' 'link1 +ethernet +[0-9]+ ms' "$output"
expect_match 'what next' 'sudo vpn-up home' "$output"
expect_equal 'mode of the key' 600 "$(mode /etc/hawser/keys/home.key)"
expect_equal 'mode of the keys folder' 700 "$(mode /etc/hawser/keys)"
expect_equal 'mode of the profile' 644 "$(mode /etc/hawser/home.toml)"
expect_match 'DNS' '^dns = "off"' "$(on client cat /etc/hawser/home.toml)"
if on client grep -qF "$(on client cat /etc/hawser/keys/home.key)" /etc/hawser/home.toml; then fail 'the profile holds a secret'; fi
if vpn status home --check; then fail 'vpn-join started the profile'; fi
invite tablet >"$dir/invite"
expect_exit 0 vpn join tab "file:$dir/invite"

step 'a join whose answer is lost succeeds the second time, with the same key'
ticket=$(invite phone)
link_set 1 down blackhole=on
link_set 2 down blackhole=on
expect_exit 6 vpn join phone - <<<"$ticket"
if on client test -e /etc/hawser/phone.toml; then fail 'a failed vpn-join left a profile'; fi
first=$(on client "$programs/vpn-key" pub /etc/hawser/keys/phone.key)
link_set 1 down blackhole=off
link_set 2 down blackhole=off
expect_exit 0 vpn join phone - <<<"$ticket"
expect_equal 'the key' "$first" "$(on client "$programs/vpn-key" pub /etc/hawser/keys/phone.key)"

step '--force: the old profile and key are kept as a backup, the addresses stay'
old=$(on client cat /etc/hawser/keys/home.key)
expect_exit 0 vpn join home - --force <<<"$(invite laptop)"
expect_match 'the same addresses' 'as 10\.9\.0\.2' "$output"
expect_equal 'backup of the key' "$old" "$(on client sh -c 'cat /etc/hawser/keys/home.key.bak-*')"
expect_equal 'backups of the profile' 1 "$(on client sh -c 'ls /etc/hawser/home.toml.bak-* | wc -l')"
if [ "$old" = "$(on client cat /etc/hawser/keys/home.key)" ]; then fail 'the key was not replaced'; fi
up home
expect 'the new key works' reaches "$(inner_server4)"
down home
step 'a refused --force leaves the old profile as it is'
kept=$(on client cat /etc/hawser/keys/tab.key)
expect_exit 7 vpn join tab - --force <<<"$ticket"
expect_equal 'the key' "$kept" "$(on client cat /etc/hawser/keys/tab.key)"
if on client test -e /etc/hawser/keys/tab.key.new; then fail 'a refused key was left behind'; fi
up tab
down tab

step 'vpn-key, and a user whom the server knows by key'
private=$(vpn key new)
expect_match 'a key' '^[A-Za-z0-9+/]{43}=$' "$private"
expect_match 'its public key' '^[A-Za-z0-9+/]{43}=$' "$(vpn key pub <<<"$private")"
expect_exit 0 vpn key new /etc/hawser/keys/known.key
expect_equal 'mode' 600 "$(mode /etc/hawser/keys/known.key)"
expect_exit 10 vpn key new /etc/hawser/keys/known.key
expect_exit 5 vpn key pub <<<'nonsense'
public=$(vpn key pub /etc/hawser/keys/known.key)
vpn_server init --no-start --allow-key "known=$public" >>"$dir/server-init.log" 2>&1 || fail "vpn-server init --allow-key: exit $?"
server_key=$(server_status .public_key)
expect_exit 0 vpn join known --server "$SERVER4" --server-key "$server_key"
expect_equal 'the key' "$public" "$(vpn key pub /etc/hawser/keys/known.key)"
up known
expect 'the server answers' reaches "$(inner_server4)"
down known
e2e_end
