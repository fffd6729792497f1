#!/usr/bin/env bash
# Connections made from outside to the client, by SSH where sshd is installed, survive a full tunnel coming up, going down and
# being killed; by either link, by IPv6, and by an interface that the tunnel was told not to use.
# timeout: 180
# beside others: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
lab links=3 rate=50M delay=5ms
start_server
enrol home laptop
before=$(net_state client)

# The client's sshd, with a key of its own and nothing of this machine's configuration.
sshd=$(command -v sshd || echo /usr/sbin/sshd)
[ -x "$sshd" ] || skip 'no sshd (Debian: openssh-server)'
ssh-keygen -q -t ed25519 -N '' -f "$dir/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$dir/user_key"
cp "$dir/user_key.pub" "$dir/authorized_keys"
on client mkdir -p /run/sshd
cat >"$dir/sshd_config" <<CONFIG
HostKey $dir/host_key
AuthorizedKeysFile $dir/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin yes
PidFile none
CONFIG
spawn_on client "$dir/sshd.log" "$sshd" -D -e -f "$dir/sshd_config"

ssh_from_outside() {
  local address=$1
  shift
  on server ssh -q -n -F none -i "$dir/user_key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    -o ConnectTimeout=5 -o BatchMode=yes "root@$address" "$@"
}
wait_for 10 'sshd to listen' ssh_from_outside "$(link_address4 1)" true

# A long session says something ten times a second. Only the first link's address can be reached without a tunnel, because
# without rules all answers leave by the first default route, and providers drop foreign source addresses.
ways=()
declare -A addresses=([link1]=$(link_address4 1) [link1-IPv6]=$(link_address6 1) [link2]=$(link_address4 2) [link3-IPv6]=$(link_address6 3))
begin_session() {
  ways+=("$1")
  touch "$dir/session-$1.log"
  ssh_from_outside "${addresses[$1]}" 'while echo tick; do sleep 0.1; done' >"$dir/session-$1.log" 2>&1 &
}
ticks() { wc -l <"$dir/session-$1.log"; }
more_than() { [ "$(ticks "$1")" -gt "$2" ]; }
sessions_live() {
  local way
  for way in "${ways[@]}"; do
    wait_for 3 "the session by $way to go on $1" more_than "$way" $(($(ticks "$way") + 5))
  done
  step "all ${#ways[@]} sessions go on $1"
}
new_sessions() {
  local way
  for way in "${!addresses[@]}"; do expect "a new session by $way $1" ssh_from_outside "${addresses[$way]}" true; done
}

begin_session link1
begin_session link1-IPv6
sessions_live 'before'
up home
sessions_live 'after vpn-up'
new_sessions 'while the tunnel is up'
step 'and all other traffic goes through the tunnel'
expect_match 'route to a host outside' 'dev hawser0' "$(on client ip route get 203.0.113.10)"
down home
sessions_live 'after vpn-down'
up home --without link1
sessions_live 'although the tunnel does not use their link'
new_sessions 'while the tunnel does not use the first link'
down home
sessions_live 'after vpn-down'

spawn_on client "$dir/foreground.log" "$programs/vpn-up" --foreground home
daemon=$SPAWNED
wait_for 10 'the tunnel to be up' has_status home '.state == "connected"'
begin_session link2
begin_session link3-IPv6
sessions_live 'in the foreground'
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
sessions_live 'after kill -9'
new_sessions 'after kill -9'
expect 'cleaning up' vpn up home --cleanup
ways=(link1 link1-IPv6)
sessions_live 'after --cleanup'
expect_equal 'rules, routes and devices' "$before" "$(net_state client)"

step 'a connection that would be cut is asked about, or refused'
expect_exit 10 on client env SSH_CONNECTION='198.51.100.1 40000 10.66.66.66 22' "$programs/vpn-up" home
expect_match 'the warning' 'SSH connection from 198\.51\.100\.1' "$output"
expect_exit 0 on client env SSH_CONNECTION='198.51.100.1 40000 10.66.66.66 22' "$programs/vpn-up" home --yes
down home
expect_exit 0 on client env SSH_CONNECTION="198.51.100.1 40000 $(link_address4 1) 22" "$programs/vpn-up" home
down home
e2e_end
