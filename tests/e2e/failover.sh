#!/usr/bin/env bash
# Links that go, fade and lie, one after the other, under a TCP download or upload and a UDP echo: how long each stalls, what is lost,
# when the link carries its share again.
#   tests/e2e/failover.sh [--runs 5 --bars] [--up] [--links p1|wifi-lte|three] [--no-offload] [--json FILE] [FAULT..]
# All combinations as one table: tests/run.sh bars faults.
# timeout: 900
# parts: admin-down unplugged address-removed route-removed recreated blackhole blackhole-up blackhole-down loss-ramp nat-rebound server-restart
# parts: server-moved all-down all-silent rate-fade delay-step first-back second-back silent-back plug-back flapping
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/failover_lib.sh"
failover_options "$@"
{
e2e_begin "$@"

# ---- the faults ----------------------------------------------------------------------------------------------------------
hit_admin-down() { link_down "$1"; }
heal_admin-down() { link_up "$1"; }
hit_unplugged() { link_unplug "$1"; }
heal_unplugged() { link_plug "$1"; link_up "$1"; }
hit_address-removed() { link_unaddress "$1"; }
heal_address-removed() { link_up "$1"; }
hit_route-removed() { on client ip route del default dev "link$1"; on client ip -6 route del default dev "link$1"; }
heal_route-removed() { link_up "$1"; }
# It comes back under its name with another index: its old one was given away meanwhile.
hit_recreated() {
  old_index=$(on client cat "/sys/class/net/link$1/ifindex")
  ip -n client link set "link$1" netns 1
  ip -n client link add taken index "$old_index" type bridge
}
heal_recreated() {
  ip link set "link$1" netns client
  link_up "$1"
  [ "$(on client cat "/sys/class/net/link$1/ifindex")" != "$old_index" ] || fail 'the index is the old one'
  ip -n client link del taken
}
hit_blackhole() { link_blackhole "$1" on; }
heal_blackhole() { link_blackhole "$1" off; }
hit_blackhole-up() { link_set "$1" up blackhole=on; }
heal_blackhole-up() { link_set "$1" up blackhole=off; }
hit_blackhole-down() { link_set "$1" down blackhole=on; }
heal_blackhole-down() { link_set "$1" down blackhole=off; }
# A call goes on meanwhile: 64 kbit/s each way, a packet every 20 ms.
hit_loss-ramp() {
  local i start
  spawn_on inet "$dir/voice-up.json" hawser-probe receive 5203 --seconds 20 --idle 2
  voices=("$SPAWNED")
  spawn_on client "$dir/voice-down.json" hawser-probe receive 5203 --seconds 20 --idle 2
  voices+=("$SPAWNED")
  sleep 0.2
  spawn_on client "$dir/voice-send-up.json" hawser-probe send "$INET4" 5203 --rate 50 --size 160 --seconds 8
  spawn_on server "$dir/voice-send-down.json" hawser-probe send "$(inner4 home)" 5203 --rate 50 --size 160 --seconds 8
  start=$(milliseconds)
  for i in $(seq 1 25); do
    link_set "$1" both "loss=$((i * 4))%"
    until_ms $((start + i * 200))
  done
}
heal_loss-ramp() {
  local way gap
  wait "${voices[@]}"
  for way in up down; do
    gap=$(jq '.longest_gap_ms | round' "$dir/voice-$way.json")
    step "voice $way: longest gap $gap ms, $(jq .lost "$dir/voice-$way.json") packets lost, $(jq .received "$dir/voice-$way.json") received (bar 150)"
    awk -v g="$gap" -v f="$factor" 'BEGIN { exit !(g > 0 && g <= 150 * f) }' || fail "voice $way: a gap of $gap ms"
  done
  link_set "$1" both loss="$(setting_of "$1" loss 0%)"
}
hit_rate-fade() { local r; for r in 20M 10M 5M 2M 1M; do link_set "$1" both rate=$r; sleep 0.3; done; }
heal_rate-fade() { link_set "$1" both rate="$(setting_of "$1" rate)"; }
hit_delay-step() {
  local own
  own=$(setting_of "$1" delay)
  link_set "$1" both delay=$((${own%ms} + 100))ms
}
heal_delay-step() { link_set "$1" both delay="$(setting_of "$1" delay)"; }
hit_nat-rebound() { nat_rebind "$1"; }
heal_nat-rebound() { :; }

# Killed without a word, and started a second later.
hit_server-restart() {
  kill -9 "$server_pid"
  wait "$server_pid" 2>/dev/null
  sleep 1
  run_server
}
heal_server-restart() { :; }
# The address that carries goes; the server was announced under another one, too.
hit_server-moved() {
  on server sysctl -q net.ipv4.conf.eth0.promote_secondaries=1
  moved_from=$(status home '[.paths[] | select(.state == "active") | .remote] | unique | .[0] | sub(":[0-9]+$"; "")')
  on server ip addr del "$moved_from/24" dev eth0
}
heal_server-moved() { on server ip addr add "$moved_from/24" dev eth0; }
hit_all-down() { local n; for ((n = 1; n <= ${#links[@]}; n++)); do link_down "$n"; done; }
heal_all-down() { local n; for ((n = 1; n <= ${#links[@]}; n++)); do link_up "$n"; done; }
hit_all-silent() { local n; for ((n = 1; n <= ${#links[@]}; n++)); do link_blackhole "$n" on; done; }
heal_all-silent() { local n; for ((n = 1; n <= ${#links[@]}; n++)); do link_blackhole "$n" off; done; }

hit_first-back() { link_down "$1"; }
heal_first-back() { link_up "$1"; }
hit_second-back() { link_down "$1"; }
heal_second-back() { link_up "$1"; }
hit_silent-back() { link_blackhole "$1" on; }
heal_silent-back() { link_blackhole "$1" off; }
hit_plug-back() { link_unplug "$1"; }
heal_plug-back() { link_plug "$1"; link_up "$1"; }
hit_flapping() {
  local i start
  start=$(milliseconds)
  for i in $(seq 1 "30"); do
    link_blackhole "$1" on
    until_ms $((start + i * 2000 - 1000))
    link_blackhole "$1" off
    until_ms $((start + i * 2000))
  done
}
heal_flapping() { :; }

# ---- the bars: P7 (300, 250), P8 (100), P9 (1 s, with four flows: one flow alone grows too slowly to fill the second link) -----
bars_of admin-down 100 250 -       # by an administrator
bars_of unplugged 100 250 -        # carrier lost
bars_of address-removed 100 250 -  # the lease ended
bars_of route-removed 300 250 -
bars_of recreated 100 250 -        # back under another index
bars_of blackhole 300 250 -
bars_of blackhole-up 300 250 -
bars_of blackhole-down 300 250 -
bars_of loss-ramp 300 250 -        # 0 to 100 % in 5 s
bars_of rate-fade 300 250 -        # down to 1 Mbit/s
bars_of delay-step 300 250 -       # +100 ms each way
bars_of nat-rebound 300 250 -
bars_of flapping 300 250 -         # a second dead, a second alive, for a minute
bars_of server-restart 3000 2000 3000  # a second of it there is no server
bars_of server-moved 1500 1500 3000
bars_of all-down 61000 61000 3000        # a minute without any link: the inner connection is there when they return
bars_of all-silent 21000 21000 3000      # twenty seconds without an answer, then a second to find that they are over
bars_of first-back - - 1000
bars_of second-back - - 1000
bars_of silent-back - - 1000
bars_of plug-back - - 1000

failover_begin
failover admin-down 1
failover unplugged 2
failover address-removed 1
failover route-removed 2
failover recreated 1
failover blackhole 2
failover blackhole-up 1
failover blackhole-down 2
failover loss-ramp 1
failover nat-rebound 2
failover server-restart 1
failover server-moved 1
failover all-down 1
failover all-silent 1
failover rate-fade 1
failover delay-step 2
streams=4
failover first-back 1
failover second-back 2
failover silent-back 1
failover plug-back 2
streams=1
failover flapping 1
down home
failover_end
e2e_end
}
