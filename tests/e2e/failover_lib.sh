# shellcheck shell=bash
# What the failover tests share: one run per fault, with a TCP download (CUBIC, asked for) or upload, a UDP echo of 200 packets a second
# and a look at the link's bytes every 100 ms; what it measured against the bar; one table and one file of JSON at the end.
#
#   failover_options "$@"        --runs N (1), --json FILE, --bars (the bars themselves; else 1.5 times of them), --up (an upload),
#                                --links p1 (default), wifi-lte or three, --no-offload (none of the kernel's), names of faults
#   failover_begin               the lab, a server, a connected client
#   failover FAULT LINK          hits and heals by hit_FAULT and heal_FAULT
#   failover_end                 the table; fails when a median is above its bar
runs=1 json_file='' factor=1.5 chosen=' ' heading=down links_are=p1 offloads=true
links=('rate=20M delay=10ms' 'rate=30M delay=25ms')
failover_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --runs | --json | --links) [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; }
        case $1 in --runs) runs=$2 ;; --json) json_file=$2 ;; --links) choose_links "$2" ;; esac
        shift ;;
      --bars) factor=1 ;;
      --up) heading=up ;;
      --no-offload) offloads=false ;;
      -*) echo "there is no option $1" >&2; exit 2 ;;
      *) chosen+="$1 " ;;
    esac
    shift
  done
}

# Those of P1; as Wi-Fi and LTE are (P2's); those of P1 and a slow third one.
choose_links() {
  links_are=$1
  case $1 in
    p1) ;;
    wifi-lte) links=('rate=50M delay=4ms jitter=4ms loss=0.5%' 'rate=30M delay=20ms queue=500k') ;;
    three) links+=('rate=10M delay=40ms') ;;
    *) echo "there are no links $1: p1, wifi-lte, three" >&2; exit 2 ;;
  esac
}
# setting_of LINK KEY [DEFAULT]: a link's own rate, delay, loss.
setting_of() {
  local word
  for word in ${links[$1 - 1]}; do [ "${word%%=*}" != "$2" ] || { printf %s "${word#*=}"; return; }; done
  printf %s "${3:-}"
}

# The bars, in ms (- is none): longest stall of the inner TCP, outage of the echo, time until the link carries its share.
declare -A bar_stall bar_outage bar_share
# Seconds of faults that take longer than others.
declare -A lasting=([loss-ramp]=9 [flapping]=60 [server-restart]=6 [server-moved]=6 [all-down]=60 [all-silent]=20)
# Milliseconds for which a fault leaves nothing that could carry: no emulator's lateness makes them more.
declare -A dark=([all-down]=60000 [all-silent]=20000)
bars_of() {  # FAULT STALL OUTAGE SHARE
  bar_stall[$1]=$2 bar_outage[$1]=$3 bar_share[$1]=$4
}

milliseconds() { echo $(($(date +%s%N) / 1000000)); }
# until_ms T: sleeps until that moment.
until_ms() {
  local left=$(($1 - $(milliseconds)))
  [ "$left" -le 0 ] || sleep "$(printf '%d.%03d' $((left / 1000)) $((left % 1000)))"
}

failover_begin() {
  local n settings=() all=()
  for ((n = 1; n <= ${#links[@]}; n++)); do settings+=("link$n=${links[n - 1]}") all+=("$n"); done
  lab links=${#links[@]} nat="$(IFS=,; printf %s "${all[*]}")" server_addresses=2 "${settings[@]}" "$@"
  init_server --endpoint "$SERVER4:443" --endpoint "$SERVER4_SECOND:443"
  $offloads || set_offload '"off"' server
  run_server
  enrol home laptop
  $offloads || set_offload '"off"' client
  up home
  wait_for 10 'all links' all_active home ${#links[@]}
  $offloads || expect_no_offloads
  spawn_on inet "$dir/tcp-serve.log" hawser-probe tcp-serve 5201
  spawn_on inet "$dir/echo.log" hawser-probe echo 5202
  sleep 0.3
  : >"$dir/results"
}

# The bytes of both directions of LINK, ten times a second: milliseconds and the sum.
watch_link() {
  while :; do
    printf '%s %s\n' "$(milliseconds)" "$(($(link_get "$1" down in_bytes) + $(link_get "$1" up in_bytes)))"
    sleep 0.1
  done
}

# From HEALED on, until the link carried for half a second 90 % of what it had in the three seconds before HIT. -1: never.
share_again() {
  awk -v hit="$2" -v healed="$3" '{ t[NR] = $1; b[NR] = $2 }
    function at(ms, i) { for (i = 1; i <= NR; ++i) if (t[i] >= ms) return b[i]; return b[NR] }
    END { before = (at(hit) - at(hit - 3000)) / 3000
      for (i = 1; i <= NR; ++i) if (t[i] >= healed && t[i] + 500 <= t[NR] && (at(t[i] + 500) - b[i]) / 500 >= 0.9 * before) { print t[i] - healed; exit }
      print -1 }' "$1"
}

# The longest time without an answer to the echo, in ms: what arrives late is an outage too, although it is not lost; and so is that
# none comes until the last was sent.
longest_silence() {
  { awk '$3 >= 0 { printf "%.3f\n", $2 * 1000 + $3 }' "$1"; awk 'END { printf "%.3f\n", $2 * 1000 }' "$1"; } | sort -n |
    awk 'NR > 1 && $1 - last > most { most = $1 - last } { last = $1 } END { printf "%d\n", most }'
}

# Seconds of a run: before the fault, until it is healed, after that.
warm=5 broken=3 after=4
# One run; leaves stall, outage, lost, share.
run_fault() {
  local fault=$1 link=$2 broken=$broken total began watcher tcp echo hit healed
  broken=${lasting[$fault]:-$broken}
  total=$((warm + broken + after))
  began=$(milliseconds)
  watch_link "$link" >"$dir/link.bytes" &
  watcher=$!
  spawn_on client "$dir/tcp.json" hawser-probe tcp "$INET4" 5201 --seconds $total --streams "${streams:-1}" --congestion cubic \
    $([ $heading = down ] || printf %s --up)
  tcp=$SPAWNED
  spawn_on client "$dir/echo.json" hawser-probe ping "$INET4" 5202 --rate 200 --size 100 --seconds $total --idle 2 --trace "$dir/echo.trace"
  echo=$SPAWNED
  until_ms $((began + warm * 1000))
  hit=$(milliseconds)
  "hit_$fault" "$link"
  until_ms $((hit + broken * 1000))
  "heal_$fault" "$link"
  healed=$(milliseconds)
  wait "$tcp" || { kill "$watcher"; fail "$fault: the inner TCP connection broke: $(cat "$dir/tcp.json")"; }
  kill "$watcher"
  wait "$watcher" 2>/dev/null
  wait "$echo" || fail "$fault: the echo's end: $(cat "$dir/echo.json")"
  stall=$(jq -s 'map(.stall_ms) | max | round' "$dir/tcp.json")
  stall_at=$(jq -s 'max_by(.stall_ms).stall_at_s' "$dir/tcp.json")
  outage=$(longest_silence "$dir/echo.trace")
  lost=$(jq '.lost' "$dir/echo.json")
  share=$(share_again "$dir/link.bytes" "$hit" "$healed")
}

settle() {
  wait_for 45 'all links again' all_active home ${#links[@]}
  sleep 0.5
}

failover() {
  local fault=$1 link=$2 run
  case $chosen in ' ') ;; *" $fault "*) ;; *) return 0 ;; esac
  for ((run = 1; run <= runs; ++run)); do
    measured run_fault "$fault" "$link"
    # A median is of valid runs only.
    [ "$runs" -eq 1 ] || [ -z "$late" ] || netlab_unjudged missed "$late"
    printf '%s %s %s %s %s\n' "$fault" "$stall" "$outage" "$lost" "$share" >>"$dir/results"
    printf -- '-- %-22s link%s  stall %5s ms (at %s s)  outage %5s ms  lost %4s  share again %5s ms\n' \
      "$fault" "$link" "$stall" "$stall_at" "$outage" "$lost" "$share"
    settle
  done
}

# Median and worst of column COLUMN of FAULT; a share that was never reached counts as the worst.
median_of() { awk -v f="$1" -v c="$2" '$1 == f { print $c < 0 ? 99999 : $c }' "$dir/results" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)], v[NR] }'; }
# judge VALUE BAR [DARK]: ok, SHORT or report.
judge() {
  [ "$2" != - ] || { echo report; return; }
  awk -v v="$1" -v b="$2" -v f="$factor" -v d="${3:-0}" 'BEGIN { print v <= d + (b - d) * f ? "ok" : "SHORT" }'
}

failover_end() {
  local fault what column bar median worst verdict short=0 json='' worst_lost
  printf '\nlinks %s, heading %s%s\n' "$links_are" "$heading" "$($offloads || printf ', no offloads')"
  printf '%-22s %-14s %8s %8s %8s  %s\n' fault 'number (ms)' median worst bar ''
  for fault in $(awk '!seen[$1]++ { print $1 }' "$dir/results"); do
    for what in stall:2 outage:3 share:5; do
      column=${what#*:} what=${what%:*}
      local -n bars=bar_$what
      bar=${bars[$fault]:--}
      read -r median worst <<<"$(median_of "$fault" "$column")"
      # The share's clock starts when the fault is over.
      verdict=$(judge "$median" "$bar" "$([ $what = share ] || echo "${dark[$fault]:-0}")")
      [ "$verdict" != SHORT ] || short=$((short + 1))
      printf '%-22s %-14s %8s %8s %8s  %s\n' "$fault" "$what" "$median" "$worst" "$bar" "$verdict"
      json+="{\"fault\":\"$fault\",\"number\":\"${what}_ms\",\"median\":$median,\"worst\":$worst,\"bar\":$([ "$bar" = - ] && echo null || echo "$bar"),\"verdict\":\"$verdict\"},"
    done
    read -r median worst_lost <<<"$(median_of "$fault" 4)"
    printf '%-22s %-14s %8s %8s %8s  %s\n' "$fault" 'echo lost' "$median" "$worst_lost" '' report
    json+="{\"fault\":\"$fault\",\"number\":\"echo_lost\",\"median\":$median,\"worst\":$worst_lost,\"bar\":null,\"verdict\":\"report\"},"
  done
  json="{\"schema\":\"hawser.failover/1\",\"links\":\"$links_are\",\"heading\":\"$heading\",\"offloads\":$offloads,\"runs\":$runs,\"factor\":$factor,\"results\":[${json%,}]}"
  jq . <<<"$json" >"$dir/failover.json" || fail 'the table is not JSON'
  [ -z "$json_file" ] || cp "$dir/failover.json" "$json_file"
  [ "$short" -eq 0 ] || fail "$short numbers are above $factor times their bars"
}
