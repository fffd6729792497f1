#!/usr/bin/env bash
# What is installed beside the programs: every file is there, the units verify and are hardened, the user and the folders can
# be made, the user data is valid and holds no secret, the manual pages are clean and name the options that the programs have.
# Needs no namespaces: it installs into a folder of its own.
# beside others: yes
set -u -o pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${HAWSER_BIN:-$project/build/bin}/..
prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$build/CMakeCache.txt")

fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
skip() { printf 'SKIPPED: %s\n' "$*"; exit 77; }
step() { printf -- '-- %s\n' "$*"; }
for tool in systemd-analyze cloud-init groff man; do
  command -v $tool >/dev/null || skip "$tool is not installed (tests/run.sh installs it in containers and as root)"
done
root=$(mktemp -d) || exit 1
trap 'rm -rf "$root"' EXIT

step 'cmake --install'
DESTDIR=$root cmake --install "$build" >"$root/install.log" 2>&1 || { tail "$root/install.log"; fail 'cmake --install'; }
programs='vpn-up vpn-down vpn-status vpn-join vpn-key vpn-server'
for program in $programs; do
  [ -x "$root$prefix/bin/$program" ] || fail "$program was not installed"
  [ -s "$root$prefix/share/man/man8/$program.8" ] || fail "$program has no manual page"
done
if find "$root$prefix/bin" -type f -printf '%f\n' | grep -vxE "${programs// /|}"; then fail 'a program was installed that users do not need'; fi

step 'units: systemd-analyze verify'
units=$root/units
mkdir "$units"
for unit in hawser-server.service hawser@.service; do
  sed "s#$prefix/bin/#$root$prefix/bin/#" "$root$prefix/lib/systemd/system/$unit" >"$units/${unit/@/@home}"
done
for unit in hawser-server.service hawser@home.service; do
  complaints=$(MANPATH=$root$prefix/share/man systemd-analyze verify "$units/$unit" 2>&1) || fail "$unit: $complaints"
  [ -z "$complaints" ] || fail "$unit: $complaints"
done
# The check itself must be able to fail.
sed 's/^Type=.*/Type=sometimes/; s/^User=/Usr=/' "$units/hawser-server.service" >"$units/broken.service"
[ -n "$(systemd-analyze verify "$units/broken.service" 2>&1)" ] || fail 'systemd-analyze verify saw nothing wrong in a broken unit'

step 'units: exposure below 2.5'
for unit in hawser-server.service hawser@home.service; do
  level=$(systemd-analyze security --offline=true --no-pager "$units/$unit" | sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p')
  printf '   %s %s\n' "$unit" "$level"
  awk -v level="$level" 'BEGIN { exit !(level > 0 && level < 2.5) }' || fail "$unit: exposure '$level'"
done
grep -qx 'User=hawser' "$units/hawser-server.service" || fail 'the server runs as root'
for unit in hawser-server.service hawser@home.service; do
  for line in NoNewPrivileges=yes 'DeviceAllow=/dev/net/tun rw' Type=notify LimitCORE=0; do
    grep -qxF "$line" "$units/$unit" || fail "$unit lacks $line"
  done
  grep -q '^LimitNOFILE=' "$units/$unit" || fail "$unit leaves the number of its sockets to systemd's default"
done

step 'the user and the folders'
if [ "$(id -u)" -eq 0 ]; then
  mkdir -p "$root/etc"
  systemd-sysusers --root="$root" "$root$prefix/lib/sysusers.d/hawser.conf" >/dev/null 2>&1 || fail 'systemd-sysusers'
  grep -q '^hawser:' "$root/etc/passwd" || fail 'no user hawser'
  grep '^hawser:' "$root/etc/passwd" | grep -qE '/(nologin|false)$' || fail 'the user hawser can log in'
  systemd-tmpfiles --root="$root" --create "$root$prefix/lib/tmpfiles.d/hawser.conf" || fail 'systemd-tmpfiles'
  [ "$(stat -c %a "$root/etc/hawser/keys")" = 700 ] || fail '/etc/hawser/keys is not 0700'
fi

step 'user data: schema, first line, size, no secret, the script in it parses'
data=$project/deploy/cloud-init/server.yaml
cloud-init schema --config-file "$data" >"$root/schema.log" 2>&1 || { cat "$root/schema.log"; fail 'cloud-init schema'; }
grep -qi warn "$root/schema.log" && { cat "$root/schema.log"; fail 'cloud-init schema warns'; }
[ "$(head -n 1 "$data")" = '#cloud-config' ] || fail 'the first line must be exactly #cloud-config'
[ "$(stat -c %s "$data")" -lt 65536 ] || fail 'user data is limited to 64 KiB'
if grep -nE 'hawser1:|PRIVATE KEY|password|[A-Za-z0-9+/]{43}=' "$data"; then fail 'a secret, or what looks like one, in user data'; fi
sed 's/^runcmd:/runcmds: {}\nruncmd:/' "$data" >"$root/broken.yaml"
sed -i 's/^packages:.*/packages: {a: 1}/' "$root/broken.yaml"
if cloud-init schema --config-file "$root/broken.yaml" >/dev/null 2>&1; then fail 'cloud-init schema saw nothing wrong in broken user data'; fi
awk '/^    content: \|/ { inside = 1; next } inside && /^[a-z]/ { exit } inside { sub(/^      /, ""); print }' "$data" >"$root/setup.sh"
grep -q 'vpn-server init' "$root/setup.sh" || fail 'the script was not found in the user data'
sh -n "$root/setup.sh" || fail 'the script in the user data does not parse'
output=$(sh "$root/setup.sh" 2>&1) && fail 'the script ran without SOURCE'
grep -q 'SOURCE and SHA256 are not set' <<<"$output" || fail "without SOURCE it says: $output"

step 'manual pages'
for page in "$project"/deploy/man/*.[58]; do
  complaints=$(groff -mdoc -ww -z -Tutf8 "$page" 2>&1; LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
  [ -z "$complaints" ] || fail "$(basename "$page"): $complaints"
done
for program in $programs; do
  page=$(MANWIDTH=200 man -l "$project/deploy/man/$program.8" 2>/dev/null | col -b)
  help=$("$root$prefix/bin/$program" --help) || fail "$program --help: exit $?"
  if [ "$program" = vpn-server ]; then
    for sub in init run status invite user; do help+=$'\n'$("$root$prefix/bin/$program" $sub --help); done
  fi
  for option in $(grep -oE -- '(^|[ ,])--[a-z][a-z0-9-]+' <<<"$help" | tr -d ' ,' | sort -u); do
    grep -qE -- "$option\b" <<<"$page" || fail "$program.8 does not name $option"
  done
  for option in $(grep -oE -- '--[a-z][a-z0-9-]+' <<<"$page" | sort -u); do
    grep -qE -- "$option\b" <<<"$help" || fail "$program.8 names $option, which $program --help does not"
  done
done
# Every key that the parsers accept is in the page of its file. Rows with `false` are refused by this version.
keys_of() { sed -nE 's/^ *\{"([a-z.]*)", "([a-z_0-9]+)"\},$/\1 \2/p' "$project/common/config/$1"; }
for pair in profile.cc:hawser.toml.5 server_settings.cc:hawser-server.toml.5; do
  page=$(MANWIDTH=200 man -l "$project/deploy/man/${pair#*:}" 2>/dev/null | col -b)
  [ "$(keys_of "${pair%:*}" | wc -l)" -gt 10 ] || fail "the table of keys was not found in ${pair%:*}"
  while read -r table key; do
    grep -qE "\b${key:-$table}\b" <<<"$page" || fail "${pair#*:} does not name the key ${key:-$table}"
  done < <(keys_of "${pair%:*}")
done
for cited in $(sed -n 's/^\.Xr \([^ ]*\) \([0-9]\).*/\1.\2/p' "$project"/deploy/man/*.[58] | sort -u); do
  [ -s "$project/deploy/man/$cited" ] || fail "a manual page cites $cited, which does not exist"
done
printf 'ok\n'
