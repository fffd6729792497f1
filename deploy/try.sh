#!/usr/bin/env bash
# See Hawser work on this machine: a server, a client and two unlike links in network namespaces, one download over both
# links, one link killed in the middle of it and brought back, and a table of what came through.
#
#   deploy/try.sh          as root, or as a user where user namespaces are permitted
#
# Installs missing packages when run as root (only then). Leaves nothing but these packages and build/, even when killed.
# Exit codes: 0 all well · 1 something failed · 4 permission · 8 no TUN device · 130 interrupted.
set -u -o pipefail
# With stdin closed the next descriptor that a program opens would become its stdin.
[ -e /dev/fd/0 ] || exec </dev/null
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$project/deploy/lib/packages.sh"
. "$project/deploy/lib/build.sh"
# The programs of this very clone, whatever the caller's environment says.
HAWSER_BIN=$project/build/bin
. "$project/tests/netlab/lib.sh"

[ $# -eq 0 ] || case $1 in
  -h | --help) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
  *) printf 'deploy/try.sh: it takes no arguments\n' >&2; exit 2 ;;
esac

rates=(20 30)   # Mbit/s of link1 and link2
delays=(10 25)  # ms, one way
warm_up=2       # seconds at the start of each download that its rate leaves out
alone_seconds=6 both_seconds=8 dead_seconds=6
file_bytes=96000000
give_up=20000   # ms without a byte

export TRY_BEGAN=${TRY_BEGAN:-$(date +%s)}
elapsed() { printf '%d:%02d' $((($(date +%s) - TRY_BEGAN) / 60)) $((($(date +%s) - TRY_BEGAN) % 60)); }
stage() { printf '[%s] %s\n' "$(elapsed)" "$*"; }
note() { printf '       %s\n' "$*"; }

logs=/run/netlab/try
fail() {
  printf '[%s] FAILED: %s\n' "$(elapsed)" "$1" >&2
  local log
  for log in "$logs"/*.log /run/netlab/hosts/client/var/lib/hawser/*/log; do
    [ -s "$log" ] || continue
    printf -- '---- the last lines of %s\n' "${log#/run/netlab/}" >&2
    tail -n 20 "$log" >&2
  done
  exit "${2:-1}"
}

# ---- Outside of the namespaces: packages, permission, programs -----------------------------------------------------------

# Before anything is installed or built: can the demonstration run here at all?
check_permission() {
  if [ ! -c /dev/net/tun ]; then
    printf 'deploy/try.sh: there is no /dev/net/tun, which a VPN needs.\n' >&2
    printf '   on a machine of your own: sudo modprobe tun\n   in a container: start it with --device /dev/net/tun --privileged\n' >&2
    exit 8
  fi
  if [ "$(id -u)" -eq 0 ]; then
    netlab_can_isolate || { printf 'deploy/try.sh: root may not make namespaces here; start the container with --privileged\n' >&2; exit 4; }
  elif ! netlab_can_isolate || ! netlab_has_tun; then
    printf 'deploy/try.sh: this user may not make namespaces or open /dev/net/tun. Run:\n   sudo %q\n' "$project/deploy/try.sh" >&2
    exit 4
  fi
}

if [ "${NETLAB_INSIDE:-}" != 1 ]; then
  stage 'packages'
  packages_ensure "${hawser_build_packages[@]}" "${hawser_demo_packages[@]}" || exit 4
  check_permission
  stage 'build (the first time takes minutes)'
  build_configure "$project" "$project/build" -DHAWSER_TESTS=ON -DCMAKE_BUILD_TYPE=Release &&
    build_targets "$project/build" vpn-up vpn-down vpn-status vpn-join vpn-key vpn-server hawser-netem || exit 1
fi
netlab_enter "$@"

# ---- Inside ----------------------------------------------------------------------------------------------------------------

mkdir -p "$logs"
trap 'printf "\n[%s] interrupted; nothing is left but build/ and packages\n" "$(elapsed)"; exit 130' INT TERM

# The client's counters: "interface state received-bytes" per path.
# paths: a line per interface with its state and the bytes that came over it; its IPv4 and its IPv6 count as one.
paths() {
  in_client vpn-status home --json 2>/dev/null | jq -r '[.paths[] | select(.id != null)] | group_by(.interface)[] |
    [.[0].interface, (if any(.state == "active") then "active" else .[0].state end), (map(.rx_bytes) | add)] | @tsv'
}
bytes_now() { stat -c %s "$1" 2>/dev/null || printf 0; }
milliseconds() { printf '%s' $(($(date +%s%N) / 1000000)); }
mbits() { awk -v bytes="$1" -v ms="$2" 'BEGIN { printf "%.1f", (ms > 0 ? bytes * 8 / 1000 / ms : 0) }'; }

# watch_download FILE SECONDS PID: shows the rate and the paths until the time is over or the download has ended. Sets $rate
# (Mbit/s over this time, without the first $skip_seconds) and $pause (the longest time without a new byte, in ms).
watch_download() {
  local file=$1 until=$(($(milliseconds) + $2 * 1000)) pid=$3 now bytes last_bytes last_change shown line
  local from=$(($(milliseconds) + skip_seconds * 1000)) from_bytes=
  local -A seen=()
  last_bytes=$(bytes_now "$file") last_change=$(milliseconds) shown=$last_change pause=0 rate=0
  local shown_bytes=$last_bytes interface state received
  while IFS=$'\t' read -r interface state received; do seen[$interface]=$received; done < <(paths)
  while now=$(milliseconds) && [ "$now" -lt "$until" ] && kill -0 "$pid" 2>/dev/null; do
    bytes=$(bytes_now "$file")
    if [ -z "$from_bytes" ] && [ "$now" -ge "$from" ]; then from_bytes=$bytes from=$now; fi
    if [ "$bytes" != "$last_bytes" ]; then
      [ $((now - last_change)) -le "$pause" ] || pause=$((now - last_change))
      last_bytes=$bytes last_change=$now
    fi
    [ $((now - last_change)) -lt "$give_up" ] || fail "no byte of the download arrived for $((give_up / 1000)) s"
    if [ $((now - shown)) -ge 1000 ]; then
      line=$(printf '%3d %%  %5s Mbit/s ' $((bytes * 100 / file_bytes)) "$(mbits $((bytes - shown_bytes)) $((now - shown)))")
      while IFS=$'\t' read -r interface state received; do
        line+=$(printf ' | %s %-10s %5s' "$interface" "$state" "$(mbits $((received - ${seen[$interface]:-$received})) $((now - shown)))")
        seen[$interface]=$received
      done < <(paths)
      if [ -t 1 ]; then printf '\r       %s\033[K' "$line"; else note "$line"; fi
      shown=$now shown_bytes=$bytes
    fi
    sleep 0.05
  done
  [ $((now - last_change)) -le "$pause" ] || pause=$((now - last_change))
  [ -z "$from_bytes" ] || rate=$(mbits $(($(bytes_now "$file") - from_bytes)) $((now - from)))
  [ ! -t 1 ] || printf '\r\033[K'
}

# download FILE: starts one HTTP download in the background; one connection, no second try. Sets $curl.
download() {
  spawn_on client "$logs/curl.log" curl -sS --max-time 180 -o "$1" "http://$INET4/file"
  curl=$SPAWNED
}

client_up() { in_client vpn-up home "$@" </dev/null >>"$logs/vpn-up.log" 2>&1 || fail "vpn-up: exit $?"; }
client_down() { in_client vpn-down home </dev/null >>"$logs/vpn-down.log" 2>&1 || fail "vpn-down: exit $?"; }

stage "two links: link1 ${rates[0]} Mbit/s ${delays[0]} ms, link2 ${rates[1]} Mbit/s ${delays[1]} ms, one server behind both"
netlab_up links=2 link1="rate=${rates[0]}M delay=${delays[0]}ms" link2="rate=${rates[1]}M delay=${delays[1]}ms" >"$logs/lab.log" 2>&1 ||
  fail 'the lab did not come up'

stage 'a web server on a host behind the server, which only the tunnel reaches'
mkdir -p "$logs/www"
head -c "$file_bytes" /dev/urandom >"$logs/www/file"
checksum=$(sha256sum <"$logs/www/file")
spawn_on inet "$logs/httpd.log" busybox httpd -f -p 80 -h "$logs/www"

stage 'the server:  vpn-server init; vpn-server run'
in_server vpn-server init --no-start --endpoint "$SERVER4:443" --endpoint "[$SERVER6]:443" </dev/null >"$logs/init.log" 2>&1 || fail "vpn-server init: exit $?"
spawn_on server "$logs/server.log" vpn-server run
server=$SPAWNED
for ((i = 0; ; i++)); do
  if in_server vpn-server status >/dev/null 2>&1; then break; fi
  if [ $i -ge 100 ] || ! kill -0 "$server" 2>/dev/null; then fail 'the server does not answer'; fi
  sleep 0.1
done

stage 'enrolment:  vpn-server invite laptop | vpn-join home -'
in_server vpn-server invite laptop 2>>"$logs/init.log" </dev/null | in_client vpn-join home - >"$logs/vpn-join.log" 2>&1 || fail "vpn-join: exit $?"

declare -a alone=()
for n in 1 2; do
  stage "one download over link$n alone:  vpn-up home --only link$n"
  client_up --only "link$n"
  skip_seconds=$warm_up
  download "$logs/alone$n"
  watch_download "$logs/alone$n" $((warm_up + alone_seconds)) "$curl"
  alone[n]=$rate
  kill "$curl" 2>/dev/null
  wait "$curl" 2>/dev/null
  rm -f "$logs/alone$n"
  client_down
done

stage 'one download over both:  vpn-up home'
client_up
note "$(grep '^home: connected' "$logs/vpn-up.log" | tail -n 1)"
skip_seconds=$warm_up
download "$logs/both"
watch_download "$logs/both" $((warm_up + both_seconds)) "$curl"
both=$rate
stage 'link2 falls silent in the middle of it'
link_blackhole 2 on || fail 'the emulator did not take the order'
skip_seconds=0
watch_download "$logs/both" "$dead_seconds" "$curl"
dead=$rate dead_pause=$pause
stage 'link2 is back'
link_blackhole 2 off || fail 'the emulator did not take the order'
watch_download "$logs/both" 120 "$curl"
again=$rate
wait "$curl" || fail "the download broke: curl ended with exit $?"
[ "$(sha256sum <"$logs/both")" = "$checksum" ] || fail 'the checksum of what was downloaded is wrong'
used=$(paths)
client_down

stage 'the result'
sum=$(awk -v a="${alone[1]}" -v b="${alone[2]}" 'BEGIN { printf "%.1f", a + b }')
row() { awk -v name="$1" -v rate="$2" -v sum="$sum" 'BEGIN { printf "       %-44s %6.1f Mbit/s %4.0f %%\n", name, rate, (sum > 0 ? rate / sum * 100 : 0) }'; }
printf '       %-44s %13s %s\n' 'one TCP download' '' 'of the sum'
row "link1 alone (${rates[0]} Mbit/s, ${delays[0]} ms)" "${alone[1]}"
row "link2 alone (${rates[1]} Mbit/s, ${delays[1]} ms)" "${alone[2]}"
row 'the sum of these two' "$sum"
row 'both together' "$both"
row 'both, while link2 was dead' "$dead"
row 'both, from the moment it was back' "$again"
note "longest pause when link2 died: $dead_pause ms; the connection held; checksum right"
while IFS=$'\t' read -r interface state received; do
  note "$interface carried $((received / 1000000)) MB ($state)"
done <<<"$used"
note "inner TCP: $(in_inet cat /proc/sys/net/ipv4/tcp_congestion_control) (this kernel's default); rates leave out the first $warm_up s"

awk -v both="$both" -v a="${alone[1]}" -v b="${alone[2]}" 'BEGIN { exit !(both > a && both > b) }' || fail 'both together were not faster than the faster link alone'
awk -F'\t' -v all="$file_bytes" '$3 > all / 20 { used++ } END { exit used != 2 }' <<<"$used" || fail 'not both links were used'
netlab_valid 2>/dev/null || note 'the emulator was late at times (a busy machine): take the rates as rough'

kill -TERM "$server" 2>/dev/null
wait "$server" || fail "the server ended with exit $?"
stage 'done. Nothing is left but the packages and build/'
