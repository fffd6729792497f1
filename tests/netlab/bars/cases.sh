# shellcheck shell=bash disable=SC2034
# The cases of the bars: what DESIGN.md's P1 to P6, P13 and P15 and their relatives are in netlab. Sourced by ../bars.sh.
#
# define_case CASE VARIANT sets:
#   kind       what is done: tcp, alone, echo, shared, start, fall, web (a function measure_KIND in measure.sh)
#   links      an emulator setting string per link
#   flows      inner TCP, HEADING:COUNT..
#   bars       METRIC:min|max:LIMIT:UNIT.., judged in this order; a limit "-" is a report
#   seconds, skip   of a run and of its start that does not count
#   peers      what others reach, for the table
#   sim        FILE/VARIANT of the simulator's scenario with the same links, if there is one
# and returns 1 when there is no such case. case_list prints all as "CASE VARIANT".

case_list() {
  local p
  for p in P1 P2 P3 P4; do printf "$p %s\n" down up four both; done
  printf 'P5 %s\n' baseline rtt_40 rtt_70 rtt_120 rtt_320 jit_5 jit_20 loss_05 loss_2 bw_4to1 bw_10to1 dual_lte fiber_lte lte_starlink lte_geo congested
  printf 'P6 %s\n' p1-links modem-buffer slow-links
  printf "P13 %s\n" {1,2,3}-{cubic,reno}-{bdp,100ms}
  printf 'P15 %s\n' alive first-dead first-deaf
  printf 'reorder %s\n' jit_5 jit_20 dual_lte lte_starlink congested
  printf 'links %s\n' three four
  printf 'rate %s\n' 0.3 1 300
  printf 'delay %s\n' 1-300 1-1 300-300
  printf 'asymmetric %s\n' down up both
  printf 'fall %s\n' down
  printf 'web %s\n' 10k 100k
}

define_case() {
  kind=tcp flows=down:1 seconds=30 skip=10 peers='' sim=''
  links=() bars=()
  case $1 in
    P1 | P2 | P3 | P4) define_rate "$@" ;;
    P5) define_pair "$2" ;;
    reorder) define_reordering "$2" ;;
    P6) define_echo "$2" ;;
    P13) define_shared "$2" ;;
    P15) define_start "$2" ;;
    links | rate | delay | asymmetric) define_unlike "$@" ;;
    fall) define_fall "$2" ;;
    web) define_web "$2" ;;
    *) return 1 ;;
  esac
}

# P1 to P4: one flow down or up, four down, both headings at once.
define_rate() {
  local limit
  case $1 in
    P1) links=('rate=20M delay=10ms' 'rate=30M delay=25ms') limit=0.97
      peers='mqvpn-t 95, MPTCP 94, glorytun 91, mqvpn 75, MLVPN 70' ;;
    P2) links=('rate=50M delay=4ms jitter=4ms loss=0.5%' 'rate=30M delay=20ms queue=500k') limit=0.92
      peers='mqvpn-t 54-90, MPTCP 50, mqvpn 11-34, glorytun 11, MLVPN 4' ;;
    P3) links=('rate=20M delay=10ms loss=2%' 'rate=20M delay=15ms loss=2%') limit=0.90
      peers='mqvpn-t 54-64, MPTCP 12-16, glorytun 8, mqvpn 6-8, MLVPN 2' ;;
    P4) links=('rate=10M delay=3ms' 'rate=60M delay=50ms') limit=0.95
      peers='mqvpn-t 94, MPTCP 94, glorytun 74-85, MLVPN 56, mqvpn 13' ;;
  esac
  choose_flows "$2" || return
  sim="p${1#P}/$2"
  [ "$2" != four ] || sim="p${1#P}/four-down"
  if [ "$2" = both ]; then
    sim="p${1#P}/both-ways"
    # The acknowledgements of the other heading take 4 % of each.
    limit=$(awk -v l="$limit" 'BEGIN { printf "%.2f", l * 0.96 }')
  fi
  bars=("of_ceiling:min:$limit:" time_to_90:max:-:s)
}

choose_flows() {
  case $1 in
    down | up) flows=$1:1 ;;
    four) flows=down:4 ;;
    both) flows='down:1 up:1' ;;
    *) return 1 ;;
  esac
}

# The pairs of mqvpn's suite. Its delays and jitters are netem's mean and deviation; here the jitter keeps the order and stays
# within two deviations (or above zero), so the mean delay is the same.
define_pair() {
  local limit=0.85
  case $1 in
    baseline) links=('rate=50M delay=20ms' 'rate=50M delay=20ms') peers='single 40.6, wlb 73.9, minrtt 45.3' ;;
    rtt_40) links=('rate=50M delay=20ms' 'rate=50M delay=40ms') peers='single 40.5, wlb 49.0, minrtt 42.0' ;;
    rtt_70) links=('rate=50M delay=20ms' 'rate=50M delay=70ms') peers='single 40.6, wlb 36.5, minrtt 40.9' ;;
    rtt_120) links=('rate=50M delay=20ms' 'rate=50M delay=120ms') peers='single 40.7, wlb 28.2, minrtt 40.6' ;;
    rtt_320) links=('rate=50M delay=20ms' 'rate=50M delay=320ms') limit=- peers='single 40.3, wlb 40.1, minrtt 38.9' ;;
    jit_5) links=('rate=50M delay=10ms jitter=20ms' 'rate=50M delay=10ms jitter=20ms') peers='single 38.8, wlb 61.4, minrtt 51.1' ;;
    jit_20) links=('rate=50M delay=0ms jitter=40ms' 'rate=50M delay=0ms jitter=40ms') peers='single 17.4, wlb 37.6, minrtt 36.8' ;;
    loss_05) links=('rate=50M delay=20ms loss=0.5%' 'rate=50M delay=20ms loss=0.5%') peers='single 32.2, wlb 70.7, minrtt 39.6' ;;
    loss_2) links=('rate=50M delay=20ms loss=2%' 'rate=50M delay=20ms loss=2%') peers='single 16.3, wlb 29.0, minrtt 16.5' ;;
    bw_4to1) links=('rate=50M delay=20ms' 'rate=12M delay=20ms') peers='single 40.6, wlb 26.1, minrtt 42.0' ;;
    bw_10to1) links=('rate=100M delay=20ms' 'rate=10M delay=20ms') limit=- peers='single 74.2, wlb 21.0, minrtt 74.2' ;;
    dual_lte) links=('rate=40M delay=20ms jitter=20ms loss=0.5%' 'rate=25M delay=29ms jitter=32ms loss=0.5%') peers='single 29.6, wlb 21.8, minrtt 29.6' ;;
    fiber_lte) links=('rate=300M delay=8ms' 'rate=30M delay=24ms jitter=32ms loss=0.5%') limit=- peers='single 212.4, wlb 77.3, minrtt 212.3' ;;
    lte_starlink) links=('rate=40M delay=19ms jitter=32ms' 'rate=100M delay=0ms jitter=100ms loss=1%') peers='single 29.6, wlb 17.1, minrtt 29.1' ;;
    lte_geo) links=('rate=40M delay=35ms' 'rate=20M delay=280ms jitter=80ms loss=0.5%') limit=- peers='single 31.7, wlb 31.1, minrtt 31.5' ;;
    congested) links=('rate=20M delay=10ms jitter=80ms loss=2%' 'rate=15M delay=10ms jitter=100ms loss=2%') peers='single 6.4, wlb 5.7, minrtt 6.4' ;;
    *) return 1 ;;
  esac
  kind=alone seconds=20 skip=8 sim="p5-tcp/$1"
  bars=(over_alone:min:0.98: "of_ceiling:min:$limit:")
}

# The same with the jitter drawn for each frame, as netem does it, so that the links reorder.
define_reordering() {
  define_pair "$1" || return
  links=("${links[@]/jitter=/reorder=on jitter=}")
  sim=''
  bars=(over_alone:min:0.98: of_ceiling:min:-:)
}

# A small UDP flow's round trips while both links are full in both headings.
define_echo() {
  case $1 in
    p1-links) links=('rate=20M delay=10ms' 'rate=30M delay=25ms') ;;
    modem-buffer) links=('rate=20M delay=10ms queue=375k' 'rate=30M delay=25ms queue=562k') ;;
    slow-links) links=('rate=2M delay=10ms' 'rate=2M delay=25ms') ;;
    *) return 1 ;;
  esac
  kind=echo seconds=25 skip=5 flows='down:1 up:1' sim="p6/$1"
  peers='p99 in ms: glorytun 145, MLVPN 521, mqvpn 1659, mqvpn-t 7743 and half of the packets lost'
  bars=(over_idle_p99:max:30:ms lost_share:max:0.001: of_ceiling:min:-:)
}

# N-CONGESTION-QUEUE: a bottleneck of 20 Mbit/s and 20 ms round trip for all paths and for one TCP beside the tunnel.
define_shared() {
  local queue
  IFS=- read -r paths competitor queue <<<"$1"
  case $queue in bdp) queue=50k ;; 100ms) queue=250k ;; *) return 1 ;; esac
  case $paths-$competitor in [123]-cubic | [123]-reno) ;; *) return 1 ;; esac
  local n
  for ((n = 0; n < paths; n++)); do links+=('rate=1G'); done
  bottleneck="rate=20M delay=10ms queue=$queue"
  kind=shared seconds=80 skip=20 sim="p13/$1"
  bars=(competitor_share:min:0.45: of_ceiling:min:0.35:)
}

# Three and four links, extreme rates and delays, rates that differ by heading: never below the best link alone.
define_unlike() {
  kind=alone seconds=25 skip=10
  bars=(over_alone:min:0.98: of_ceiling:min:-:)
  case $1-$2 in
    links-three) links=('rate=20M delay=10ms' 'rate=30M delay=25ms' 'rate=10M delay=40ms') ;;
    links-four) links=('rate=20M delay=10ms' 'rate=30M delay=25ms' 'rate=10M delay=40ms loss=1%' 'rate=15M delay=15ms') ;;
    rate-0.3) links=('rate=300k delay=40ms' 'rate=8600k delay=20ms') ;;
    rate-1) links=('rate=1M delay=30ms' 'rate=1M delay=50ms') ;;
    rate-300) links=('rate=300M delay=5ms' 'rate=100M delay=15ms') ;;
    delay-1-300) links=('rate=20M delay=1ms' 'rate=20M delay=300ms') seconds=40 skip=20 ;;
    delay-1-1) links=('rate=50M delay=1ms' 'rate=50M delay=1ms') ;;
    delay-300-300) links=('rate=20M delay=300ms' 'rate=20M delay=300ms') seconds=40 skip=20 ;;
    asymmetric-down | asymmetric-up | asymmetric-both)
      links=('down.rate=50M up.rate=5M delay=15ms' 'down.rate=20M up.rate=10M delay=30ms')
      choose_flows "$2" || return ;;
    *) return 1 ;;
  esac
}

# From the command to the first inner round trip; the first link as it should be, dead, or deaf (the answers are lost).
define_start() {
  local limit=0.35
  case $1 in alive) limit=0.25 ;; first-dead | first-deaf) ;; *) return 1 ;; esac
  links=('rate=50M delay=25ms' 'rate=50M delay=25ms')
  kind=start first=${1#first-} seconds=2 skip=1
  bars=("up:max:$limit:s" first_ping:max:-:s)
}

# The faster link falls to a tenth of its rate for ten seconds and returns; four flows and an echo.
define_fall() {
  [ "$1" = down ] || return 1
  links=('rate=20M delay=10ms' 'rate=30M delay=25ms')
  kind=fall flows=down:4 seconds=40 skip=10
  bars=(back_after:max:3:s echo_over_idle_p99:max:150:ms)
}

# One page's object over a new connection: both links against the fast one alone.
define_web() {
  case $1 in 10k | 100k) ;; *) return 1 ;; esac
  links=('rate=20M delay=10ms' 'rate=30M delay=25ms')
  kind=web object=$1
  bars=(over_alone:max:1.05: median_ms:max:-:ms)
}
