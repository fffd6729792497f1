# shellcheck shell=bash disable=SC2154,SC2034
# How each kind of case is measured, and the one line that comes of it. Sourced by ../bars.sh after the case is defined.
#
# A measurement leaves numbers in value[METRIC]; each begins with a tunnel of its own, because it may be repeated when the
# emulator was late. Inner connections go through the server to a host behind it, as a user's do.

declare -A value

# ---- The lab -------------------------------------------------------------------------------------------------------------

bars_lab() {
  local settings=() n
  for ((n = 1; n <= ${#links[@]}; n++)); do settings+=("link$n=${links[n - 1]}"); done
  if [ "$kind" = shared ]; then settings+=("uplink=$bottleneck" client2=1 "link$n=rate=1G"); fi
  lab links=${#links[@]} family=4 seed="$seed" "${settings[@]}"
  init_server --endpoint "$SERVER4:443"
  $offloads || set_offload '"off"' server
  run_server >>"$dir/setup.log"
  enrol home laptop
  $offloads || set_offload '"off"' client
  spawn_on inet "$dir/tcp-serve.log" hawser-probe tcp-serve 5001
  spawn_on inet "$dir/echo.log" hawser-probe echo 5002
  ! $watch || watch_flows
  if [ "$kind" = shared ]; then spawn_on server "$dir/tcp-serve-beside.log" hawser-probe tcp-serve 5001 --address "$SERVER4"; fi
}

# connect [LINK]: a fresh tunnel over this link alone, or over all; returns when all its paths are active.
connect() {
  local count=${#links[@]} arguments=()
  if [ -n "${1:-}" ]; then count=1 arguments=(--only "$1"); fi
  disconnect
  up home "${arguments[@]}"
  connected=true
  wait_for 20 "$count active paths" all_active home "$count"
  mtu=$(status home .tunnel.mtu)
  $offloads || expect_no_offloads
}
connected=false
disconnect() {
  ! $connected || { status home . >"$dir/status.json" 2>/dev/null; vpn_server status --json >"$dir/server-status.json" 2>/dev/null; down home; }
  connected=false
}

# ---- Rates ---------------------------------------------------------------------------------------------------------------

# bits TEXT: 20M as a number.
bits() { awk -v t="$1" 'BEGIN { n = t + 0; u = substr(t, length(t)); print n * (u == "G" ? 1e9 : u == "M" ? 1e6 : u == "k" ? 1e3 : 1) }'; }
# rate_of SETTINGS HEADING: a link's rate in bit/s.
rate_of() {
  local word rate=0
  for word in $1; do
    case $word in rate=* | "$2".rate=*) rate=${word#*=} ;; esac
  done
  bits "$rate"
}
# ceiling_of LINK..: Mbit/s of inner TCP payload in all headings that `flows` use: rates x payload / bytes on the wire.
# The bytes: 31 of the datagram, 28 of UDP and IPv4, 14 of Ethernet; 52 of inner TCP and IPv4 with timestamps.
ceiling_of() {
  local heading settings total=0
  for heading in down up; do
    case " $flows " in *" $heading:"*) ;; *) continue ;; esac
    for settings in "$@"; do total=$(awk -v a="$total" -v b="$(rate_of "$settings" $heading)" 'BEGIN { printf "%d", a + b }'); done
  done
  awk -v bps="$total" -v mtu="$mtu" 'BEGIN { printf "%.3f", bps * 1e-6 * (mtu - 52) / (mtu + 73) }'
}
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.4f", (b > 0 ? a / b : 0) }'; }
minus() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a - b }'; }

# ---- Inner TCP -------------------------------------------------------------------------------------------------------------

# start_flows NAME: the case's flows, in the background.
start_flows() {
  local flow heading
  flow_pids=()
  for flow in $flows; do
    heading=${flow%:*}
    spawn_on client "$dir/$1-$heading.json" hawser-probe tcp "$INET4" 5001 --seconds "$seconds" --skip "$skip" --streams "${flow#*:}" \
      --congestion "$congestion" $([ "$heading" = down ] || printf %s --up)
    flow_pids+=("$SPAWNED")
  done
}
# watch_flows: what the kernels know of the inner connections, until the lab ends.
watch_flows() {
  local host
  for host in client inet; do
    spawn_on "$host" "$dir/ss-$host.log" bash -c 'while sleep 0.05; do date +%s.%N; ss -tniH "( dport = 5001 or sport = 5001 )"; done'
  done
}
# wait_flows NAME: and $dir/NAME.json is what all of them saw together: goodput (Mbit/s), longest stall, series per 100 ms.
wait_flows() {
  local pid
  for pid in "${flow_pids[@]}"; do wait "$pid" || fail "hawser-probe tcp: $(cat "$dir/$1"-*.json)"; done
  jq -s '{goodput: (map(.goodput_bps) | add / 1e6), stall_ms: (map(.stall_ms) | max), congestion: (map(.congestion) | unique | join(" ")),
    bps: (map(.bps_per_100ms) | (map(length) | max) as $n | . as $all | [range(0; $n) as $i | $all | map(.[$i] // 0) | add])}' \
    "$dir/$1"-{down,up}.json 2>/dev/null >"$dir/$1.json"
  [ "$(jq -r .congestion "$dir/$1.json")" = "$congestion" ] || fail "inner TCP is not $congestion"
}
seen() { jq -r "$2" "$dir/$1.json"; }
# time_to NAME MBITS FROM: seconds until half a second, wholly after FROM, had this rate; the length of the run if it never had.
time_to() {
  jq -r --argjson wanted "$2" --argjson from "$3" '.bps as $b | ($from * 10 | ceil) as $first
    | [range($first + 5; ($b | length) + 1) as $i | select(($b[$i - 5:$i] | add) / 5e6 >= $wanted) | $i / 10 - $from]
    | first // (($b | length) / 10)' "$dir/$1.json"
}
# note_shares: which part of what arrived each link carried, in percent, in the heading of the first flow.
note_shares() {
  local n sum=0 bytes=()
  for ((n = 1; n <= ${#links[@]}; n++)); do bytes[n]=$(link_get "$n" "${flows%%:*}" out_bytes); sum=$((sum + bytes[n])); done
  shares=
  for ((n = 1; n <= ${#links[@]}; n++)); do shares+=${shares:+:}$((sum > 0 ? (bytes[n] * 100 + sum / 2) / sum : 0)); done
}

# bar_of METRIC: its limit, when there is one.
bar_of() {
  local bar
  for bar in "${bars[@]}"; do
    case $bar in "$1":*) bar=${bar#*:*:}; bar=${bar%%:*}; [ "$bar" = - ] || printf '%s' "$bar"; return ;; esac
  done
}

tcp_once() {
  connect "$only"
  start_flows all
  wait_flows all
  note_shares
  if [ -n "$only" ]; then ceiling=$(ceiling_of "${links[${only#link} - 1]}"); else ceiling=$(ceiling_of "${links[@]}"); fi
  value[goodput]=$(seen all .goodput) value[stall_ms]=$(seen all .stall_ms)
  value[of_ceiling]=$(ratio "${value[goodput]}" "$ceiling")
}

measure_tcp() {
  local limit
  tcp_once
  limit=$(bar_of of_ceiling)
  value[time_to_90]=$(time_to all "$(awk -v c="$ceiling" -v l="${limit:-1}" 'BEGIN { print 0.9 * c * l }')" 0)
}

# Each link alone through the tunnel, then all.
measure_alone() {
  local n best=0
  alone=
  for ((n = 1; n <= ${#links[@]}; n++)); do
    connect "link$n"
    start_flows "alone$n"
    wait_flows "alone$n"
    value[alone$n]=$(seen "alone$n" .goodput)
    best=$(awk -v a="$best" -v b="${value[alone$n]}" 'BEGIN { print (a > b ? a : b) }')
  done
  # What it carried alone is not its share.
  netlab_valid || return 0
  link_reset
  tcp_once
  value[over_alone]=$(ratio "${value[goodput]}" "$best")
}

# ---- Echo --------------------------------------------------------------------------------------------------------------------

# ping_for SECONDS NAME: 200 packets a second through the tunnel.
ping_for() { on client hawser-probe ping "$INET4" 5002 --rate 200 --size 160 --seconds "$1" --idle 3 --trace "$dir/$2.trace" >"$dir/$2.json"; }

# idle_rtt: the median of the better path, alone and idle.
idle_rtt() {
  local n rtt best=
  for n in 1 2; do
    connect "link$n"
    ping_for 3 "idle$n"
    rtt=$(seen "idle$n" .round_trip_ms.p50)
    best=$(awk -v a="${best:-1e9}" -v b="$rtt" 'BEGIN { print (a < b ? a : b) }')
  done
  printf '%s' "$best" >"$dir/idle"
}

measure_echo() {
  local idle
  idle_rtt
  idle=$(cat "$dir/idle")
  connect
  start_flows all
  sleep "$skip"
  ping_for $((seconds - skip - 1)) loaded
  wait_flows all
  note_shares
  ceiling=$(ceiling_of "${links[@]}")
  value[goodput]=$(seen all .goodput) value[of_ceiling]=$(ratio "$(seen all .goodput)" "$ceiling")
  value[idle_p50]=$idle value[p50]=$(seen loaded .round_trip_ms.p50) value[p99]=$(seen loaded .round_trip_ms.p99)
  value[over_idle_p99]=$(minus "${value[p99]}" "$idle")
  value[lost_share]=$(seen loaded '.lost / .sent')
}

# ---- A bottleneck shared with one TCP beside the tunnel ------------------------------------------------------------------------

measure_shared() {
  connect
  start_flows all
  sleep 1
  # It ends with the tunnel's flow, and its start counts as little.
  on client2 hawser-probe tcp "$SERVER4" 5001 --seconds $((seconds - 1)) --skip $((skip - 1)) --congestion "$competitor" >"$dir/beside.json" ||
    fail "the competitor: $(cat "$dir/beside.json")"
  wait_flows all
  note_shares
  ceiling=$(ceiling_of "$bottleneck")
  value[goodput]=$(seen all .goodput) value[of_ceiling]=$(ratio "$(seen all .goodput)" "$ceiling")
  value[competitor]=$(seen beside '.goodput_bps / 1e6')
  value[competitor_share]=$(awk -v g="${value[competitor]}" -v bps="$(rate_of "$bottleneck" down)" 'BEGIN { printf "%.4f", g * 1e6 / (bps * 1448 / 1514) }')
}

# ---- The start -----------------------------------------------------------------------------------------------------------------

# vpn-up returns after an inner round trip; the kernel's own ping follows at once, over the routes.
measure_start() {
  local began
  disconnect
  link_set 1 both blackhole=off
  case $first in dead) link_set 1 both blackhole=on ;; deaf) link_set 1 down blackhole=on ;; esac
  sleep 0.5
  began=$(date +%s%N)
  up home
  value[up]=$(seconds_since "$began")
  connected=true
  on client ping -q -c 1 -W 2 "$INET4" >/dev/null || fail 'vpn-up returned, and nothing passes'
  value[first_ping]=$(seconds_since "$began")
}
seconds_since() { awk -v ns=$(($(date +%s%N) - $1)) 'BEGIN { printf "%.3f", ns / 1e9 }'; }

# ---- A rate that falls and returns ---------------------------------------------------------------------------------------------

measure_fall() {
  local idle began fell back low
  idle_rtt
  idle=$(cat "$dir/idle")
  link_set 2 both rate=30M
  connect
  began=$(date +%s%N)
  start_flows all
  ping_for $((seconds - 2)) loaded &
  local ping=$!
  sleep 15
  link_set 2 both rate=3M
  fell=$(date +%s%N)
  sleep 10
  link_set 2 both rate=30M
  back=$(date +%s%N)
  wait "$ping"
  wait_flows all
  note_shares
  ceiling=$(ceiling_of "${links[@]}") low=$(ceiling_of "${links[0]}" rate=3M)
  fell=$(awk -v a="$fell" -v b="$began" 'BEGIN { printf "%.1f", (a - b) / 1e9 }') back=$(awk -v a="$back" -v b="$began" 'BEGIN { printf "%.1f", (a - b) / 1e9 }')
  value[goodput]=$(seen all .goodput) value[stall_ms]=$(seen all .stall_ms)
  value[low_after]=$(time_to all "$(awk -v c="$low" 'BEGIN { print 0.9 * c }')" "$fell")
  value[back_after]=$(time_to all "$(awk -v c="$ceiling" 'BEGIN { print 0.9 * c }')" "$back")
  # An echo that was lost took longer than any that came.
  value[echo_over_idle_p99]=$(awk -v a="$fell" -v b="$back" '$2 >= a && $2 < b { print ($3 < 0 ? 99999 : $3) }' "$dir/loaded.trace" | sort -n |
    awk -v idle="$idle" '{ v[NR] = $1 } END { i = int(NR * 0.99) + 1; if (i > NR) i = NR; printf "%.3f", v[i] - idle }')
}

# ---- Objects of a page ---------------------------------------------------------------------------------------------------------

# fetch NAME: sixty of them, each over a connection of its own; milliseconds, one a line.
fetch() {
  on client curl -sS --max-time 60 -o /dev/null -H 'Connection: close' -w '%{time_total}\n' "http://$INET4:8000/$object?[1-60]" |
    awk '{ print $1 * 1000 }' >>"$dir/$1.times"
  [ "${PIPESTATUS[0]}" -eq 0 ] || fail 'curl'
}
quantile() { sort -n "$dir/$1.times" | awk -v q="$2" '{ v[NR] = $1 } END { i = int(NR * q) + 1; print v[(i > NR ? NR : i)] }'; }

# The contenders take turns. The fast link is the first: the lower delay decides at these sizes.
measure_web() {
  local round
  mkdir -p "$dir/www"
  head -c "$(bits "$object")" /dev/urandom >"$dir/www/$object"
  [ -n "${httpd:-}" ] || { spawn_on inet "$dir/httpd.log" hawser-httpd "$dir/www" 8000; httpd=$SPAWNED; sleep 0.3; }
  rm -f "$dir"/*.times
  for round in 1 2; do
    connect link1
    fetch alone
    connect
    fetch both
  done
  note_shares
  value[median_ms]=$(quantile both 0.5) value[p90_ms]=$(quantile both 0.9)
  value[alone_ms]=$(quantile alone 0.5) value[alone_p90_ms]=$(quantile alone 0.9)
  value[over_alone]=$(ratio "${value[median_ms]}" "${value[alone_ms]}")
}

# ---- The result ----------------------------------------------------------------------------------------------------------------

late_ms() { link_stats | jq -r '.late_p999_us / 1000'; }

# floor_of SIDE LIMIT UNIT: the bar that one run on a noisy machine is held to.
floor_of() {
  case $1-$3-$2 in
    *--) printf %s - ;;
    min-*) awk -v l="$2" 'BEGIN { print l * 0.9 }' ;;
    max-ms-* | max-s-*) awk -v l="$2" 'BEGIN { print l * 1.5 }' ;;
    *) printf %s "$2" ;;
  esac
}

# report_case: the line, or JSON; exits with the case's outcome.
report_case() {
  local bar metric side limit unit got outcome=PASS line='' judged=() key extra bars_are=held
  disconnect
  for bar in "${bars[@]}"; do
    IFS=: read -r metric side limit unit <<<"$bar"
    ! $floor || limit=$(floor_of "$side" "$limit" "$unit")
    got=${value[$metric]:-}
    [ -n "$got" ] || fail "nothing measured $metric"
    judged+=("$(jq -nc --arg m "$metric" --arg s "$side" --arg l "$limit" --arg u "$unit" --argjson v "$got" '{metric: $m, side: $s, unit: $u, value: $v, limit: ($l | tonumber? // null)}')")
    line+=" | $metric $(awk -v v="$got" 'BEGIN { printf "%.4g", v }')${unit:+ $unit}"
    [ "$limit" != - ] || continue
    if awk -v v="$got" -v l="$limit" -v s="$side" 'BEGIN { exit !(s == "min" ? v >= l : v <= l) }'; then line+=" ok"; else line+=" SHORT"; outcome='FALL SHORT' bars_are=missed; fi
    line+=" ($([ "$side" = min ] && printf '>=' || printf '<=') $limit)"
  done
  $valid || outcome=INVALID
  extra=
  for key in goodput stall_ms idle_p50 p50 p99 alone1 alone2 alone3 alone4 competitor low_after alone_ms p90_ms alone_p90_ms; do
    [ -z "${value[$key]:-}" ] || extra+=" $key $(awk -v v="${value[$key]}" 'BEGIN { printf "%.4g", v }')"
  done
  if $json; then
    for key in "${!value[@]}"; do printf '%s %s\n' "$key" "${value[$key]}"; done |
      jq -Rnc --arg case "$case_name" --arg variant "$variant" --arg outcome "$outcome" --arg congestion "$congestion" --arg peers "$peers" --arg sim "$sim" \
        --arg shares "${shares:-}" --argjson offloads $offloads --argjson ceiling "${ceiling:-0}" --argjson seconds "$seconds" --argjson late "$(late_ms)" --argjson bars "[$(IFS=,; printf %s "${judged[*]}")]" \
        '{case: $case, variant: $variant, congestion: $congestion, offloads: $offloads, outcome: $outcome, seconds: $seconds, ceiling: $ceiling, shares: $shares, late_ms: $late,
          bars: $bars, values: ([inputs | split(" ") | {key: .[0], value: (.[1] | tonumber)}] | from_entries), peers: $peers, sim: $sim}'
  else
    printf '%s %s%s |%s, ceiling %.1f, shares %s, %s, late %.2f ms | %s\n' "$case_name" "$variant" "$line" "$extra" "${ceiling:-0}" "${shares:-}" "$congestion$($offloads || printf ', no offloads')" "$(late_ms)" "$outcome"
  fi
  e2e_end >/dev/null
  case $outcome in PASS) exit 0 ;; INVALID) netlab_unjudged "$bars_are" "$case_name $variant" >&2 ;; *) exit 1 ;; esac
}
