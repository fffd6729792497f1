#!/usr/bin/env bash
# Connections made from outside to the client, by SSH where sshd is installed, survive a full tunnel coming up, going down and
# being killed; by either link, by IPv6, and by an interface that the tunnel was told not to use.
# timeout: 180
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

# A long session per way in: it says something ten times a second.
declare -A ways=([link1]=$(link_address4 1) [link2]=$(link_address4 2) [link2-IPv6]=$(link_address6 2) [link3-unused]=$(link_address4 3))
for way in "${!ways[@]}"; do
  touch "$dir/session-$way.log"
  ssh_from_outside "${ways[$way]}" 'while echo tick; do sleep 0.1; done' >"$dir/session-$way.log" 2>&1 &
done
ticks() { wc -l <"$dir/session-$1.log"; }
more_than() { [ "$(ticks "$1")" -gt "$2" ]; }
sessions_live() {
  local way
  for way in "${!ways[@]}"; do
    wait_for 3 "the session by $way to go on $1" more_than "$way" $(($(ticks "$way") + 5))
  done
  step "all sessions go on $1"
}
new_session() { expect "a new session by $1 $2" ssh_from_outside "${ways[$1]}" true; }

sessions_live 'before'
up home --without link3
sessions_live 'after vpn-up'
for way in "${!ways[@]}"; do new_session "$way" 'while the tunnel is up'; done
step 'and all other traffic goes through the tunnel'
expect_match 'route to a host outside' 'dev hawser0' "$(on client ip route get 203.0.113.10)"
down home
sessions_live 'after vpn-down'

spawn_on client "$dir/foreground.log" "$programs/vpn-up" --foreground home --without link3
daemon=$SPAWNED
wait_for 10 'the tunnel to be up' has_status home '.state == "connected"'
sessions_live 'in the foreground'
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
sessions_live 'after kill -9'
for way in "${!ways[@]}"; do new_session "$way" 'after kill -9'; done
expect 'cleaning up' vpn up home --cleanup
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
