#!/usr/bin/env bash
# Where a server is reached: by the address that is not its default source, by several ports, by both families; with each outer
# family both inner families work. The answers leave from the address that was asked.
# timeout: 150
# sanitize: yes
# beside others: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=1 server_addresses=2
start_server --endpoint "$SERVER4_SECOND:443"
config=$(host_files server)/etc/hawser/server.toml
profile=$(host_files client)/etc/hawser/home.toml
enrol home laptop
server4=$(inner_server4) server6=$(inner_server6)

# connects ENDPOINT: a tunnel by exactly this endpoint carries both inner families.
connects() {
  step "by $1"
  sed -i "s/^endpoints.*/endpoints = [\"$1\"]/" "$profile"
  rm -f "$(host_files client)/var/lib/hawser/home/endpoints"  # what the server announced before would be tried too
  up home
  expect_equal 'the path'"'"'s server address' "$1" "$(status home '[.paths[] | select(.state == "active") | .remote] | join(" ")')"
  expect_equal 'the address that the server answers from' "$1" "$(server_status '[.users[].paths[] | select(.state == "active") | .local] | join(" ")')"
  on client ping -q -c 2 -i 0.2 -W 3 "$server4" >/dev/null || fail "no inner IPv4 by $1"
  on client ping -q -c 2 -i 0.2 -W 3 "$server6" >/dev/null || fail "no inner IPv6 by $1"
  on client ping -q -c 1 -W 3 "$INET4" >/dev/null || fail "nothing behind the server by $1"
  down home
}

connects "$SERVER4_SECOND:443"
connects "$SERVER4:443"
connects "[$SERVER6]:443"
connects "[$SERVER6_SECOND]:443"

step 'several ports, and one address of its own'
stop_server
sed -i "s/^listen.*/listen = [\"0.0.0.0:443\", \"0.0.0.0:4500\", \"[::]:53\", \"$SERVER4_SECOND:8443\"]/" "$config"
run_server
expect_equal 'what the server listens on' "0.0.0.0:443 0.0.0.0:4500 $SERVER4_SECOND:8443 [::]:53" "$(server_status '.listen | sort | join(" ")')"
connects "$SERVER4:4500"
connects "[$SERVER6]:53"
connects "$SERVER4_SECOND:8443"
connects "$SERVER4_SECOND:4500"
e2e_end
