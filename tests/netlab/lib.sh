# netlab: hosts, gateways and emulated links in network namespaces, all below one unshare. Source it from bash.
#
#   . tests/netlab/lib.sh
#   netlab_enter "$@"                            # first of all, before traps: runs this script again, isolated
#   netlab_up links=2 link1="rate=20M delay=10ms" link2="rate=30M delay=25ms"
#   in_client ping -c1 "$SERVER4"
#
# README.md beside this file has the topology, all options and all functions. Needs bash, util-linux, iproute2 and the
# built hawser-netem; nftables for NAT only. Works as root and in an unprivileged user namespace.

NETLAB_HOME=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
HAWSER_BIN=${HAWSER_BIN:-$(cd "$NETLAB_HOME/../.." && pwd)/build/bin}
NETLAB_MAX_SECONDS=${NETLAB_MAX_SECONDS:-3600}
NETLAB_SOCKET=/run/netlab/netem.sock
export HAWSER_BIN NETLAB_MAX_SECONDS
case ":$PATH:" in
  *":$HAWSER_BIN:"*) ;;
  *) PATH=$HAWSER_BIN:$PATH:/usr/local/sbin:/usr/sbin:/sbin ;;
esac
export PATH

# Process 1 of a lab ignores signals that it has no trap for; set at once, for an early Ctrl-C.
if [ "${NETLAB_INSIDE:-}" = 1 ] && [ $$ = 1 ]; then
  trap 'exit 130' INT
  trap 'exit 143' TERM
fi

# Addresses are from the documentation ranges (RFC 5737, RFC 3849); only the links' own are private, as at home.
SERVER4=198.51.100.1 SERVER4_SECOND=198.51.100.2
SERVER6=2001:db8:51::1 SERVER6_SECOND=2001:db8:51::2
INET4=203.0.113.10 INET6=2001:db8:113::10
METADATA4=169.254.169.254
link_address4() { echo "192.168.$((100 + $1)).2"; }
link_address6() { echo "2001:db8:64:$1::2"; }
gateway_address4() { echo "192.168.$((100 + $1)).1"; }
gateway_address6() { echo "2001:db8:64:$1::1"; }
# The gateway's public address: what the server sees of a client behind NAT, and a host reachable without any tunnel.
gateway_public4() { echo "192.0.2.$((16 * $1 + 2))"; }

netlab_fail() {
  echo "netlab: $*" >&2
  return 1
}

# ---- The isolation ---------------------------------------------------------------------------------------------------

# The command that makes the isolation, as words in NETLAB_UNSHARE. Who runs it may be killed at any moment:
# pdeathsig kills unshare, --kill-child kills process 1 of the new namespace, and with it goes everything inside.
_netlab_unshare() {
  NETLAB_UNSHARE=(setpriv --pdeathsig KILL -- unshare --mount --net --pid --fork --kill-child --mount-proc)
  [ "$(id -u)" -eq 0 ] || NETLAB_UNSHARE+=(--user --map-root-user)
}

# May we isolate at all? Silent; 0 or 1.
netlab_can_isolate() {
  _netlab_unshare
  "${NETLAB_UNSHARE[@]}" mount -t tmpfs netlab /run >/dev/null 2>&1
}

# Runs the calling script again, with the given arguments, inside a fresh isolation, and exits with its status.
# Inside it returns, with private /run, /etc (own resolv.conf, own empty hawser/), /var/lib/hawser. Exit 4: forbidden.
netlab_enter() {
  if [ "${NETLAB_INSIDE:-}" = 1 ] && [ -d /run/netlab ]; then return 0; fi
  # Only process 1 of a new namespace may hide /run; an inherited variable alone proves nothing.
  if [ "${NETLAB_INSIDE:-}" = 1 ] && [ $$ = 1 ]; then
    _netlab_enter_inside
    return
  fi
  # A closed descriptor would be given to the next socket or file, and programs would take that for their input.
  [ -e /proc/self/fd/0 ] || exec </dev/null
  [ -e /proc/self/fd/1 ] || exec >/dev/null
  [ -e /proc/self/fd/2 ] || exec 2>/dev/null
  if ! netlab_can_isolate; then
    echo "netlab: no permission to make namespaces (as user $(id -u)); run as root: sudo $0 $*" >&2
    exit 4
  fi
  NETLAB_INSIDE=1 "${NETLAB_UNSHARE[@]}" "$BASH" "$0" "$@"
  exit $?
}

_netlab_enter_inside() {
  # Read before /run is hidden: it may be a link into it.
  local resolv_conf
  resolv_conf=$(cat /etc/resolv.conf 2>/dev/null) || true
  mount -t tmpfs -o mode=755 netlab /run || return
  mkdir -p /run/netlab/real /run/netlab/hosts /run/netlab/links /run/netns /run/lock
  echo "$resolv_conf" > /run/netlab/real/resolv.conf
  local directory
  for directory in etc var/lib; do
    mkdir -p "/run/netlab/real/$directory"
    mount --rbind "/$directory" "/run/netlab/real/$directory" || return
  done
  _netlab_make_private lab && _netlab_mount_private lab || return
  ip link set lo up
  # The emulator's ends of the links must stay mute.
  echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
}

# HOST's own directories below /run/netlab/hosts/HOST: all of the real /etc and /var/lib by links, but own copies
# of what Hawser and its helpers write. Bound over the real ones by _netlab_mount_private, in any mount namespace.
_netlab_make_private() {
  local base=/run/netlab/hosts/$1 directory real=/run/netlab/real
  mkdir -p "$base/etc/hawser" "$base/var/lib/hawser" "$base/run/lock" "$base/run/netlab" "$base/run/netns"
  for directory in etc var/lib; do
    # Relative links must stay where they are; the rest is linked to.
    find "$real/$directory" -mindepth 1 -maxdepth 1 ! -name hawser ! -name resolv.conf ! -name iproute2 \
      \( -type l -exec cp -P -t "$base/$directory" {} + -o -exec ln -s -t "$base/$directory" {} + \) || return
  done
  if [ -d $real/etc/iproute2 ]; then cp -r $real/etc/iproute2 "$base/etc/"; fi
  cp $real/resolv.conf "$base/etc/"
}

_netlab_mount_private() {
  local base=/run/netlab/hosts/$1
  mount --bind "$base/etc" /etc && mount --bind "$base/var/lib" /var/lib || return
  if [ "$1" = lab ]; then return 0; fi
  # A user namespace may forbid it; then /sys shows the lab's interfaces, which matters to few programs.
  mount -t sysfs sysfs /sys 2>/dev/null || true
  mount --rbind /run/netlab "$base/run/netlab" && mount --rbind /run/netns "$base/run/netns" && mount --rbind "$base/run" /run
}

# Can programs in here make a TUN device? 0 or 1.
netlab_has_tun() { [ -c /dev/net/tun ] && { : <> /dev/net/tun; } 2>/dev/null; }

# ---- Running programs on a host --------------------------------------------------------------------------------------

# on HOST COMMAND...: in the foreground, in HOST's network and files. Hosts: client, client2, server, inet, core, gwN.
on() {
  local host=$1 holder
  shift
  if read -r holder 2>/dev/null < "/run/netlab/hosts/$host/holder"; then
    nsenter --target="$holder" --net --mount --wdns="$PWD" -- "$@"
  elif [ -e "/run/netns/$host" ]; then
    nsenter --net="/run/netns/$host" -- "$@"
  else
    netlab_fail "no host \"$host\"; there are: $(ls /run/netns)"
  fi
}
in_client() { on client "$@"; }
in_client2() { on client2 "$@"; }
in_server() { on server "$@"; }
in_inet() { on inet "$@"; }
in_gateway() { local n=$1; shift; on "gw$n" "$@"; }

# spawn_on HOST LOGFILE COMMAND...: in the background; SPAWNED is the program's own pid.
spawn_on() {
  local host=$1 log=$2 holder
  shift 2
  read -r holder < "/run/netlab/hosts/$host/holder" || return
  nsenter --target="$holder" --net --mount --wdns="$PWD" -- "$@" </dev/null >"$log" 2>&1 &
  SPAWNED=$!
}

# Where HOST's /etc, /run and /var/lib/hawser are for somebody outside of it.
host_files() { echo "/run/netlab/hosts/$1"; }

# ---- The topology ----------------------------------------------------------------------------------------------------

_netlab_sysctl() {
  local host=$1 setting
  shift
  for setting in "$@"; do
    echo "${setting#*=}"
    echo "${setting%%=*}"
  done | nsenter --net="/run/netns/$host" "$BASH" -c 'while read -r value && read -r name; do
    [ ! -e "/proc/sys/net/$name" ] || echo "$value" > "/proc/sys/net/$name"; done'
}

# One network namespace. Source address checks as Debian has them; duplicate address detection would only cost a second.
_netlab_namespace() {
  local name=$1 forwarding=$2 rp_filter=$3
  ip netns add "$name" && ip -n "$name" link set lo up || return
  _netlab_sysctl "$name" ipv4/conf/all/rp_filter="$rp_filter" ipv4/conf/default/rp_filter="$rp_filter" \
    ipv6/conf/default/accept_dad=0 ipv6/conf/all/accept_dad=0 ipv6/conf/default/accept_ra=0 \
    ipv4/ip_forward="$forwarding" ipv6/conf/all/forwarding="$forwarding" ipv4/ping_group_range="0 0"
}

# A host with files of its own; a sleeping process holds its namespaces.
_netlab_host() {
  local name=$1 base=/run/netlab/hosts/$1
  _netlab_namespace "$name" 0 2 && _netlab_make_private "$name" || return
  nsenter --net="/run/netns/$name" unshare --mount "$BASH" -c '. "$0" && _netlab_mount_private "$1" && : > "/run/netlab/hosts/$1/ready" &&
    exec sleep infinity' "$NETLAB_HOME/lib.sh" "$name" </dev/null >"$base/holder.log" 2>&1 &
  echo $! > "$base/holder"
  local tries=0
  while [ ! -e "$base/ready" ]; do
    tries=$((tries + 1))
    if [ $tries -gt 500 ]; then netlab_fail "host $name did not start: $(cat "$base/holder.log")"; return; fi
    sleep 0.01
  done
}

# _netlab_pick LIST N: the Nth of a comma list, the last one when it is shorter.
_netlab_pick() {
  local -a values
  IFS=, read -r -a values <<< "$1"
  if [ ${#values[@]} -eq 0 ]; then return 0; fi
  echo "${values[$(($2 <= ${#values[@]} ? $2 - 1 : ${#values[@]} - 1))]}"
}

_netlab_listed() { case ",$1," in *",$2,"*) return 0 ;; *) return 1 ;; esac; }

# Fixed, so that both ends know each other from the start, as after DHCP: else a first burst waits for their
# addresses, and what does not fit that queue is lost.
_netlab_mac() { printf '02:00:00:00:%02x:%02x' "$1" "$2"; }

# Default routes of link $1: in the main table with a metric, as a network manager does, or in a table of its own.
_netlab_link_batch() {
  local n=$1 family=$2 own_table=$3 where="metric $((100 * n))"
  if [ "$own_table" = yes ]; then where="table $((1000 + n))"; fi
  echo "link set link$n up"
  case $family in *4*)
    echo "addr replace $(link_address4 "$n")/24 dev link$n"
    echo "route replace default via $(gateway_address4 "$n") dev link$n $where"
    echo "neigh replace $(gateway_address4 "$n") lladdr $(_netlab_mac "$n" 1) dev link$n nud stale" ;;
  esac
  case $family in *6*)
    echo "addr replace $(link_address6 "$n")/64 dev link$n nodad"
    echo "route replace default via $(gateway_address6 "$n") dev link$n $where"
    echo "neigh replace $(gateway_address6 "$n") lladdr $(_netlab_mac "$n" 1) dev link$n nud stale" ;;
  esac
}

# Link N of HOST: client side, emulator, gateway, and the gateway's uplink to the core.
_netlab_link() {
  local n=$1 host=$2 mtu=$3 plain=$4 family=$5 own_table=$6 gw=gw$1 public
  public=$(gateway_public4 "$n")
  _netlab_namespace "$gw" 1 0 || return
  if [ "$plain" = yes ]; then
    ip link add "link$n" netns "$host" mtu "$mtu" address "$(_netlab_mac "$n" 2)" type veth \
      peer name lan netns "$gw" mtu "$mtu" address "$(_netlab_mac "$n" 1)" || return
  else
    ip -batch - <<EOF || return
link add c$n mtu $mtu type veth peer name link$n mtu $mtu address $(_netlab_mac "$n" 2)
link add g$n mtu $mtu type veth peer name lan$n mtu $mtu address $(_netlab_mac "$n" 1)
EOF
    # Before the ends move away: what they send must be finished frames.
    hawser-netem prepare "c$n" "link$n" "g$n" "lan$n" || return
    ip -batch - <<EOF || return
link set link$n netns $host
link set lan$n netns $gw name lan
link set c$n up
link set g$n up
EOF
  fi
  ip link add "to$n" netns core type veth peer name wan netns "$gw" || return
  _netlab_link_batch "$n" "$family" "$own_table" > "/run/netlab/links/$n"
  echo "$host" > "/run/netlab/links/$n.host"
  ip -n "$gw" -batch - <<EOF || return
link set lan up
link set wan up
addr add $(gateway_address4 "$n")/24 dev lan
addr add $(gateway_address6 "$n")/64 dev lan nodad
addr add $public/28 dev wan
addr add 2001:db8:2:$n::2/64 dev wan nodad
route add default via 192.0.2.$((16 * n + 1))
neigh add $(link_address4 "$n") lladdr $(_netlab_mac "$n" 2) dev lan nud stale
neigh add $(link_address6 "$n") lladdr $(_netlab_mac "$n" 2) dev lan nud stale
EOF
  # Providers drop foreign source addresses (BCP 38): a datagram sent over the wrong link must be seen to fail.
  _netlab_sysctl "$gw" ipv4/conf/lan/rp_filter=1
  ip -n "$gw" -batch - 2>/dev/null <<EOF || ip -n "$gw" route replace default via "2001:db8:2:$n::1" || return
route add default from 2001:db8:64:$n::/64 via 2001:db8:2:$n::1
route add default from 2001:db8:2:$n::/64 via 2001:db8:2:$n::1
EOF
  ip -n core -batch - <<EOF || return
link set to$n up
addr add 192.0.2.$((16 * n + 1))/28 dev to$n
addr add 2001:db8:2:$n::1/64 dev to$n nodad
route add 192.168.$((100 + n)).0/24 via $public
route add 2001:db8:64:$n::/64 via 2001:db8:2:$n::2
EOF
  ip -n "$host" -batch "/run/netlab/links/$n"
}

_netlab_nat() {
  local n=$1
  on "gw$n" nft -f - <<EOF
table ip netlab {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "wan" meta l4proto { tcp, udp } masquerade ${2:-}
    oifname "wan" masquerade
  }
}
EOF
}

_netlab_server() {
  local addresses=$1 uplink=$2
  if [ -z "$uplink" ]; then
    ip link add srv netns core type veth peer name eth0 netns server || return
  else
    ip link add csrv type veth peer name srv && ip link add gsrv type veth peer name ethsrv || return
    hawser-netem prepare csrv srv gsrv ethsrv || return
    ip link set srv netns core && ip link set ethsrv netns server name eth0 && ip link set csrv up && ip link set gsrv up || return
  fi
  ip link add inet0 netns server type veth peer name eth0 netns inet || return
  ip -n core -batch - <<EOF || return
link set srv up
addr add 198.51.100.254/24 dev srv
addr add 2001:db8:51::fe/64 dev srv nodad
addr add $METADATA4/32 dev lo
EOF
  ip -n server -batch - <<EOF || return
link set eth0 up
link set inet0 up
addr add $SERVER4/24 dev eth0
addr add $SERVER6/64 dev eth0 nodad
route add default via 198.51.100.254
route add default via 2001:db8:51::fe
route add 169.254.0.0/16 dev eth0
addr add 203.0.113.1/24 dev inet0
addr add 2001:db8:113::1/64 dev inet0 nodad
EOF
  # Never the default source: deprecated in IPv6, secondary in IPv4.
  if [ "$addresses" = 2 ]; then
    ip -n server -batch - <<EOF || return
addr add $SERVER4_SECOND/24 dev eth0
addr add $SERVER6_SECOND/64 dev eth0 nodad preferred_lft 0
EOF
  fi
  ip -n inet -batch - <<EOF
link set eth0 up
addr add $INET4/24 dev eth0
addr add $INET6/64 dev eth0 nodad
EOF
}

# netlab_up KEY=VALUE...: builds everything and starts the emulator. Keys (lists are per link, the last value repeats):
#   links=2  client2=0            links of host client; links of a second host client2, numbered after the first's
#   rate= delay= jitter= loss= queue= ge=   comma lists of emulator settings;  linkN="key=value ..." adds to link N
#   mtu=1500                      comma list
#   nat=1,2                       these gateways masquerade IPv4
#   nodefault=2                   these links have their default routes in table 1000+N, not in main
#   plain=1                       these links are bare veths with all offloads, without emulator
#   family=46                     addresses on the links: 4, 6 or 46
#   server_addresses=1            2 gives the server a second IPv4 and IPv6 address
#   uplink="rate=20M delay=10ms"  emulates the server's own link, which all others share, too; its name is "server"
#   seed=1                        of the emulator's randomness
netlab_up() {
  local links=2 client2=0 mtu=1500 nat="" nodefault="" plain="" family=46 server_addresses=1 seed=1 uplink=""
  local rate="" delay="" jitter="" loss="" queue="" ge="" argument key n
  local -A extra=()
  for argument in "$@"; do
    key=${argument%%=*}
    case $key in
      links | client2 | mtu | nat | nodefault | plain | family | server_addresses | seed | uplink | rate | delay | jitter | loss | queue | ge)
        local "$key=${argument#*=}" ;;
      link[1-9]*) extra[${key#link}]=${argument#*=} ;;
      *) netlab_fail "unknown option $argument"; return ;;
    esac
  done
  local total=$((links + client2))
  if [ "$links" -lt 1 ] || [ "$total" -gt 14 ]; then netlab_fail "links=$links client2=$client2: 1 to 14 in all"; return; fi

  _netlab_namespace core 1 0 && _netlab_host server && _netlab_host inet && _netlab_host client || return
  if [ "$client2" -gt 0 ]; then _netlab_host client2 || return; fi
  _netlab_server "$server_addresses" "$uplink" || return
  local -a emulated=()
  if [ -n "$uplink" ]; then emulated+=(--link "server,csrv,gsrv,seed=$seed,${uplink// /,}"); fi
  for ((n = 1; n <= total; n++)); do
    local host=client bare=no own_table=no settings="" value
    if [ "$n" -gt "$links" ]; then host=client2; fi
    if _netlab_listed "$plain" "$n"; then bare=yes; fi
    if _netlab_listed "$nodefault" "$n"; then own_table=yes; fi
    _netlab_link "$n" "$host" "$(_netlab_pick "$mtu" "$n")" $bare "$family" $own_table || return
    if _netlab_listed "$nat" "$n"; then _netlab_nat "$n" || return; fi
    for key in rate delay jitter loss queue ge; do
      value=$(_netlab_pick "${!key}" "$n")
      if [ -n "$value" ]; then settings+=",$key=$value"; fi
    done
    if [ -n "${extra[$n]:-}" ]; then settings+=",${extra[$n]// /,}"; fi
    if [ $bare = no ]; then emulated+=(--link "$n,c$n,g$n,seed=$seed$settings"); fi
  done
  if [ ${#emulated[@]} -eq 0 ]; then return 0; fi
  hawser-netem run --control "$NETLAB_SOCKET" --max-seconds "$NETLAB_MAX_SECONDS" "${emulated[@]}" \
    </dev/null >/run/netlab/netem.log 2>&1 &
  echo $! > /run/netlab/netem.pid
  if ! hawser-netem ctl "$NETLAB_SOCKET" show >/dev/null; then
    netlab_fail "the emulator did not start: $(cat /run/netlab/netem.log)"
    return
  fi
}

# ---- Links while running ---------------------------------------------------------------------------------------------

netem() { hawser-netem ctl "$NETLAB_SOCKET" "$@"; }

# link_set N up|down|both KEY=VALUE...; up is from the client.
link_set() { netem set "$@" >/dev/null; }
# Everything as one line of JSON; link_get N up|down FIELD is one number of it.
link_stats() { netem stats; }
link_get() { netem get "$@"; }
link_reset() { netem reset >/dev/null; }
# The cable stays in, nothing gets through.
link_blackhole() { netem set "$1" both "blackhole=$2" >/dev/null; }

_netlab_host_of_link() { cat "/run/netlab/links/$1.host"; }

# Set down and up by an administrator; up restores addresses and routes, as a network manager does.
link_down() { ip -n "$(_netlab_host_of_link "$1")" link set "link$1" down; }
link_up() { ip -n "$(_netlab_host_of_link "$1")" -batch "/run/netlab/links/$1"; }
# The cable is pulled: the interface stays up without a carrier.
link_unplug() { ip link set "c$1" down; }
link_plug() { ip link set "c$1" up; }
# The addresses go, as when a lease ends; link_up brings them back.
link_unaddress() { ip -n "$(_netlab_host_of_link "$1")" addr flush dev "link$1" scope global; }

# The gateway forgets all mappings and takes other ports from then on, as after a restart.
nat_rebind() {
  local n=$1 count=0 first public
  public=$(gateway_public4 "$n")
  if [ -e "/run/netlab/links/$n.rebinds" ]; then read -r count < "/run/netlab/links/$n.rebinds"; fi
  count=$(((count + 1) % 8))
  echo $count > "/run/netlab/links/$n.rebinds"
  first=$((20000 + 5000 * count))
  on "gw$n" nft delete table ip netlab && _netlab_nat "$n" "to :$first-$((first + 4999))" || return
  # Masquerading forgets the mappings of an address that goes away.
  ip -n "gw$n" -batch - <<EOF
addr del $public/28 dev wan
addr add $public/28 dev wan
route replace default via 192.0.2.$((16 * n + 1))
EOF
}

# ---- Measuring -------------------------------------------------------------------------------------------------------

# Was the emulator itself on time (p99.9 of its lateness at most 2 ms) since the start or link_reset? Else says why.
netlab_valid() { netem valid "$@" >/dev/null; }

# netlab_calm ATTEMPT: waits until the machine has been quiet enough to measure: for five seconds, waiting a quarter of a minute at
# most, before a first attempt, which need not fail; for longer, and waiting longer, before each later one, as busy minutes come
# together. NETLAB_PATIENCE names a file with the seconds that all tests may wait together.
netlab_calm() {
  local longest=$((45 * $1 - 30)) window=$((8 * $1 - 3)) left=$((1 << 20)) spent=$SECONDS
  if [ -n "${NETLAB_PATIENCE:-}" ]; then read -r left 2>/dev/null <"$NETLAB_PATIENCE" || left=0; fi
  [ "$left" -gt 0 ] || return 0
  hawser-netem calm --window "$window" --seconds $((left < longest ? left : longest)) || true
  # A quiet machine takes five seconds to be known as one: those are the measurement's.
  spent=$((SECONDS - spent > 5 ? SECONDS - spent - 5 : 0))
  [ -z "${NETLAB_PATIENCE:-}" ] || echo $((left > spent ? left - spent : 0)) >"$NETLAB_PATIENCE"
}

# netlab_measure FUNCTION ARGUMENTS...: runs it on a quiet machine, and up to three times again until the emulator was on time. The
# function's status; 75 when no run was valid, and then NETLAB_STATUS is the last run's. FUNCTION must not count on what an earlier
# run left. NETLAB_ATTEMPTS says which of the four runs to make now ("1"), for callers that make the others later.
netlab_measure() {
  local attempt
  for attempt in ${NETLAB_ATTEMPTS:-1 2 3 4}; do
    netlab_calm "$attempt"
    link_reset
    NETLAB_STATUS=0
    "$@" || NETLAB_STATUS=$?
    if netlab_valid; then return $NETLAB_STATUS; fi
    echo "netlab: run $attempt of $1 is INVALID, the machine was too busy" >&2
  done
  return 75
}

# netlab_unjudged held|missed WHAT: ends a test in which WHAT had no valid run. It did not pass. A late emulator makes every number
# worse: what a run held nevertheless is no sign of a fault (held); what all runs of a test missed is one (tests/run.sh).
netlab_unjudged() {
  printf 'NO VALID RUN, bars %s: %s\n' "$1" "${*:2}"
  exit 75
}
