#!/usr/bin/env bash
# Builds Hawser from this source tree and installs it with its units, for a server or a client on Debian 12. Run as root.
#
#   deploy/install.sh [--prefix /usr/local]      build, install, make the user and the folders; starts nothing
#   deploy/install.sh --uninstall                remove what it installed; keeps /etc/hawser and /var/lib/hawser
#
# It may be run again, for example after an update of the tree. It never touches SSH, the firewall or the kernel.
set -eu
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$project/deploy/lib/packages.sh"
. "$project/deploy/lib/build.sh"

prefix=/usr/local
action=install
while [ $# -gt 0 ]; do
  case $1 in
    --prefix) [ $# -ge 2 ] || { printf 'deploy/install.sh: --prefix needs a folder\n' >&2; exit 2; }; prefix=$2; shift ;;
    --uninstall) action=uninstall ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) printf 'deploy/install.sh: unknown argument %s (see --help)\n' "$1" >&2; exit 2 ;;
  esac
  shift
done
[ "$(id -u)" -eq 0 ] || { printf 'deploy/install.sh: installing needs root: sudo %s\n' "$0" >&2; exit 4; }
folder=$project/build/release

if [ "$action" = uninstall ]; then
  manifest=$folder/install_manifest.txt
  [ -s "$manifest" ] || { printf 'deploy/install.sh: %s is missing, so what was installed is not known\n' "$manifest" >&2; exit 5; }
  while IFS= read -r file || [ -n "$file" ]; do
    rm -f "$file" && printf 'removed %s\n' "$file"
  done <"$manifest"
  printf 'kept: /etc/hawser, /var/lib/hawser, the user hawser\n'
  exit 0
fi

packages_ensure "${hawser_build_packages[@]}" iproute2 nftables || exit 8
printf 'building (some minutes on one CPU)\n'
build_configure "$project" "$folder" -DCMAKE_BUILD_TYPE=Release -DHAWSER_TESTS=OFF "-DCMAKE_INSTALL_PREFIX=$prefix"
build_targets "$folder"
cmake --install "$folder" | sed -n 's/^-- Installing: /installed /p'

# Both read their files below /usr/local/lib and /usr/lib as well.
if [ "$prefix" = /usr ] || [ "$prefix" = /usr/local ]; then
  if command -v systemd-sysusers >/dev/null; then systemd-sysusers "$prefix/lib/sysusers.d/hawser.conf"; fi
  if command -v systemd-tmpfiles >/dev/null; then systemd-tmpfiles --create "$prefix/lib/tmpfiles.d/hawser.conf"; fi
  if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
fi
printf 'next: on the server  vpn-server init     on the client  vpn-join home\n'
