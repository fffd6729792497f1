# shellcheck shell=bash disable=SC2034
# Debian packages for deploy/try.sh and tests/run.sh: which are missing, how large they are, and how they are installed.
# Sourced by bash, with `set -u`. Nothing here asks a question, and apt is not called when nothing is missing.

# What the programs are built with and what a run of them in netlab needs. None of these starts a service.
hawser_build_packages=(cmake g++ make ninja-build pkg-config libsodium-dev libssl-dev libev-dev libtomlplusplus-dev libcli11-dev
  nlohmann-json3-dev libmnl-dev libc-ares-dev libsystemd-dev libsqlite3-dev)
hawser_demo_packages=(iproute2 ethtool nftables iputils-ping curl jq busybox util-linux procps)

# packages_missing PACKAGE..: prints those that are not installed, one a line. A system without dpkg prints nothing.
packages_missing() {
  command -v dpkg-query >/dev/null || return 0
  local package
  for package in "$@"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed* ]] || printf '%s\n' "$package"
  done
}

packages_apt_line() { printf 'apt-get install --no-install-recommends -y %s\n' "$*"; }

# packages_sizes PACKAGE..: a line per package with its installed size, and what apt would fetch with all dependencies.
packages_sizes() {
  local package kib
  for package in "$@"; do
    kib=$(apt-cache show --no-all-versions "$package" 2>/dev/null | sed -n 's/^Installed-Size: //p' | head -n 1)
    printf '   %-22s %s\n' "$package" "${kib:+$(((kib + 1023) / 1024)) MB}"
  done
  apt-get install --print-uris -qq -y --no-install-recommends -o Debug::NoLocking=1 "$@" 2>/dev/null |
    awk '{ bytes += $3; count++ } END { if (count) printf "   with what they depend on: %d packages, %.0f MB to download\n", count, bytes / 1e6 }'
}

# packages_ensure PACKAGE..: installs what is missing. Returns 1 when something is missing and cannot be installed: without
# root the one line to run is printed. Only one apt line is ever run (and an update of its lists where there are none yet).
packages_ensure() {
  local missing=()
  mapfile -t missing < <(packages_missing "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  printf 'missing packages:\n'
  if [ "$(id -u)" -ne 0 ]; then
    packages_sizes "${missing[@]}"
    printf 'install them with:\n   sudo %s\n' "$(packages_apt_line "${missing[@]}")"
    return 1
  fi
  if ! apt-cache show --no-all-versions "${missing[@]}" >/dev/null 2>&1; then
    apt-get update -qq </dev/null || { printf 'apt-get update failed; is there a network?\n' >&2; return 1; }
  fi
  packages_sizes "${missing[@]}"
  printf '   %s\n' "$(packages_apt_line "${missing[@]}")"
  # policy-rc.d is left alone: no package here has a service that starts by itself.
  if ! DEBIAN_FRONTEND=noninteractive apt-get install --no-install-recommends -y -qq \
    -o Dpkg::Use-Pty=0 "${missing[@]}" </dev/null >"${packages_log:-/dev/null}" 2>&1; then
    # Lists that are too old name versions which are gone: fetch new ones once.
    apt-get update -qq </dev/null &&
      DEBIAN_FRONTEND=noninteractive apt-get install --no-install-recommends -y -qq -o Dpkg::Use-Pty=0 "${missing[@]}" </dev/null
  fi
}
