#!/usr/bin/env bash
# Both daemons as their units run them: under a stand-in for systemd's notification socket they say READY=1 when they are,
# STATUS= and STOPPING=1; the server runs as its own user with the unit's capabilities only, and takes its key from
# $CREDENTIALS_DIRECTORY; the client runs as root's uid with the unit's bounding set.
# sanitize: yes
# beside others: yes
. "$(dirname "$0")/lib.sh"
e2e_begin "$@"
command -v python3 >/dev/null || skip 'python3 is not installed'

# Prints each message that comes, one a line. An abstract address (@...) is what systemd uses for user services.
cat >"$dir/listen.py" <<'E2'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
address = sys.argv[1]
s.bind("\0" + address[1:] if address.startswith("@") else address)
if not address.startswith("@"):
    import os
    os.chmod(address, 0o666)
while True:
    for line in s.recv(4096).decode().splitlines():
        print(line, flush=True)
E2
# The unit file's capabilities, so that the test and the unit cannot differ.
unit_value() { sed -n "s/^$2=//p" "$project/deploy/systemd/$1.in"; }
as_set() { tr ' ' '\n' <<<"$1" | sed 's/^CAP_//' | tr '[:upper:]' '[:lower:]' | sed 's/^/+/' | paste -sd,; }

# The device as udev makes it: rw for everybody; what a process may do with it depends on its capabilities.
mount -t tmpfs tun /dev/net && mknod -m 666 /dev/net/tun c 10 200 || fail 'no device of our own'
lab links=2 rate=50M delay=5ms
chmod 755 /run/netlab
init_server

step 'the server, as its own user'
spawn_on server "$dir/server-notes" python3 "$dir/listen.py" "$dir/notify-server"
wait_for 5 'the listener' test -S "$dir/notify-server"
# What systemd prepares: the folders with their owner, and the credential.
user=65534
credentials=$dir/credentials
mkdir -p "$credentials"
on server cp /etc/hawser/keys/server.key "$credentials/server.key"
chmod 400 "$credentials/server.key" && chmod 700 "$credentials" && chown -R $user "$credentials"
on server sh -c "mkdir -p /run/hawser/server && chown -R $user /run/hawser/server /var/lib/hawser"
capabilities=$(as_set "$(unit_value hawser-server.service AmbientCapabilities)")
expect_equal "the server's capabilities" '+net_admin,+net_bind_service' "$capabilities"
# ip_forward is set by sysctl.d under systemd, where /proc/sys is read-only.
on server sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
spawn_on server "$dir/server.log" env NOTIFY_SOCKET="$dir/notify-server" CREDENTIALS_DIRECTORY="$credentials" \
  setpriv --reuid $user --regid $user --clear-groups --inh-caps="-all,$capabilities" --ambient-caps="-all,$capabilities" \
  --bounding-set="-all,$capabilities" --no-new-privs "$programs/vpn-server" run
server_pid=$SPAWNED
wait_for 10 'READY=1 of the server' grep -qx 'READY=1' "$dir/server-notes"
expect 'it answers when it says that it is ready' vpn_server status
grep -q '^STATUS=.' "$dir/server-notes" || fail 'the server says no STATUS='
expect_equal 'no capability beyond the unit' 0000000000001400 "$(sed -n 's/^CapEff:\t//p' "/proc/$server_pid/status")"
expect_equal 'the daemon is not root' $user "$(sed -n 's/^Uid:\t\([0-9]*\).*/\1/p' "/proc/$server_pid/status")"

step 'a client profile, with an abstract socket'
enrol home laptop
spawn_on client "$dir/client-notes" python3 "$dir/listen.py" "@hawser-notify-$$"
bounding=$(as_set "$(unit_value hawser@.service CapabilityBoundingSet)")
expect_equal "the client's bounding set" '+net_admin,+dac_override' "$bounding"
sleep 0.3
spawn_on client "$dir/client.log" env NOTIFY_SOCKET="@hawser-notify-$$" setpriv --inh-caps=-all --bounding-set="-all,$bounding" --no-new-privs \
  "$programs/vpn-up" --foreground home
client_pid=$SPAWNED
wait_for 10 'READY=1 of the client' grep -qx 'READY=1' "$dir/client-notes"
wait_for 20 'the client to connect' has_status home '.state == "connected"'
wait_for 5 'STATUS= to say so' grep -qi '^STATUS=.*connected' "$dir/client-notes"
expect_equal 'no capability beyond the unit' 0000000000001002 "$(sed -n 's/^CapEff:\t//p' "/proc/$client_pid/status")"
expect 'the tunnel carries traffic' in_client ping -c 2 -W 2 "$(inner_server4)"

step 'both stop when systemd asks them to'
before_stop=$(wc -l <"$dir/client-notes")
kill -TERM "$client_pid"
code=0
wait "$client_pid" || code=$?
expect_equal "the client's exit" 0 "$code"
wait_for 2 'STOPPING=1 of the client' sh -c "tail -n +$((before_stop + 1)) '$dir/client-notes' | grep -qx STOPPING=1"
stop_server
wait_for 2 'STOPPING=1 of the server' grep -qx 'STOPPING=1' "$dir/server-notes"

step 'ExecStopPost: cleaning up after a clean stop changes nothing'
expect_exit 0 vpn up --cleanup home
e2e_end
