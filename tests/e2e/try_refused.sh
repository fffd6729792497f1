#!/usr/bin/env bash
# Where deploy/try.sh cannot run it says what to do and exits with the documented code; packages are listed with their size
# and installed by one apt line, as root only, and apt is not called when nothing is missing.
. "$(dirname "$0")/try_lib.sh"
[ "$(id -u)" -eq 0 ] || skip 'needs root, to become another user and to hide /dev/net/tun'
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"
log=$scratch/log
# A copy that every user can read: the checkout itself may lie in somebody's private folder.
mkdir "$scratch/clone"
tar -C "$project" --exclude=./build --exclude=./.git -cf - . | tar -C "$scratch/clone" -xf - || exit 1
chmod -R a+rX "$scratch/clone"
project=$scratch/clone

# run WANTED COMMAND..: the exit code must be WANTED; the output is in $log.
run() {
  local wanted=$1 code=0
  shift
  "$@" </dev/null >"$log" 2>&1 || code=$?
  [ "$code" -eq "$wanted" ] || fail "exit $code instead of $wanted of: $*"
}
said() { grep -qE -- "$1" "$log" || fail "it does not say: $1"; }
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }

# A dpkg-query that knows everything but libev-dev, and an apt that only notes how it was called.
mkdir "$scratch/bin"
cat >"$scratch/bin/dpkg-query" <<'X'
#!/bin/sh
for package; do :; done
[ "$package" = "$(cat "$(dirname "$0")/missing")" ] || printf installed
X
cat >"$scratch/bin/apt-get" <<'X'
#!/bin/sh
case " $* " in *' --print-uris '*) printf "'http://x/a.deb' a.deb 42000000 SHA256:0\n"; exit 0 ;; esac
printf '%s\n' "$*" >>"$(dirname "$0")/apt-calls"
[ ! -e "$(dirname "$0")/apt-fails" ]
X
cat >"$scratch/bin/apt-cache" <<'X'
#!/bin/sh
printf 'Installed-Size: 5000\n'
X
chmod 755 "$scratch"/bin/*
printf libev-dev >"$scratch/bin/missing"
touch "$scratch/bin/apt-calls" && chmod 666 "$scratch/bin/apt-calls"
shims=$scratch/bin:$PATH

step 'a user without packages gets the apt line, and apt is not called'
run 4 as_nobody env PATH="$shims" bash "$project/deploy/try.sh"
said '^ *libev-dev +5 MB$'
said '42 MB to download'
said '^ *sudo apt-get install --no-install-recommends -y libev-dev$'
[ ! -s "$scratch/bin/apt-calls" ] || fail "apt was called: $(cat "$scratch/bin/apt-calls")"

step 'root without packages: one apt line, no question'
# It ends there: this apt installs nothing and says so.
touch "$scratch/bin/apt-fails"
run 4 env PATH="$shims" bash "$project/deploy/try.sh"
[ "$(head -n 1 "$scratch/bin/apt-calls")" = 'install --no-install-recommends -y -qq -o Dpkg::Use-Pty=0 libev-dev' ] || fail "apt was called so: $(cat "$scratch/bin/apt-calls")"
[ "$(grep -c '^install' "$scratch/bin/apt-calls")" -le 2 ] || fail 'apt was called more than twice'

step 'nothing missing: apt is not called'
: >"$scratch/bin/apt-calls"
printf none >"$scratch/bin/missing"
run 8 unshare --mount bash -c 'mount -t tmpfs none /dev/net && PATH=$1 exec bash "$2/deploy/try.sh"' sh "$shims" "$project"
[ ! -s "$scratch/bin/apt-calls" ] || fail "apt was called: $(cat "$scratch/bin/apt-calls")"

step 'no /dev/net/tun: exit 8 and what to do'
said 'modprobe tun'
said '--device /dev/net/tun'

step 'namespaces are forbidden: exit 4 and what to do'
printf '#!/bin/sh\necho "unshare: Operation not permitted" >&2; exit 1\n' >"$scratch/bin/unshare"
chmod 755 "$scratch/bin/unshare"
run 4 env PATH="$shims" bash "$project/deploy/try.sh"
said 'start the container with --privileged'
run 4 as_nobody env PATH="$shims" bash "$project/deploy/try.sh"
said "^ *sudo $(printf '%q' "$project/deploy/try.sh" | sed 's/[].[*^$\\]/\\&/g')$"

step 'arguments: help, and what it does not know'
run 0 "$project/deploy/try.sh" --help
said 'two unlike links'
run 2 "$project/deploy/try.sh" --fast
printf 'ok\n'
