#!/usr/bin/env bash
# deploy/try.sh as a newcomer runs it: a clean clone in a fresh folder whose path has spaces, stdin closed. Then once more,
# within 90 s, and once as an ordinary user. Nothing may be left but build/.
# timeout: 1200
. "$(dirname "$0")/try_lib.sh"
[ "$(id -u)" -eq 0 ] || skip 'needs root'
[ -c /dev/net/tun ] || skip 'there is no /dev/net/tun'

fresh=$(mktemp -d "${TMPDIR:-/tmp}/a newcomer XXXXXX") || exit 1
trap 'rm -rf "$fresh"' EXIT
clone="$fresh/my clone"
log=$fresh/log
step 'a clean clone'
if git -C "$project" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  # What is committed, and what is about to be: a test of the tree as it stands.
  mkdir "$clone"
  (cd "$project" && git ls-files -z --cached --others --exclude-standard | xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' sh) |
    tar -C "$project" --null -T - -cf - | tar -C "$clone" -xf - || fail 'copying the tree'
else
  cp -r "$project" "$clone" && rm -rf "$clone/build"
fi
files_before=$(cd "$clone" && find . -path ./build -prune -o -type f -print | sort | xargs -d '\n' sha256sum)
before=$(machine_state)

step 'the first run builds within 5 minutes and ends well'
began=$SECONDS
(cd / && exec "$clone/deploy/try.sh" <&- >"$log" 2>&1) || fail "exit $?"
expect_table "$log"
built=$(sed -n 's/^\[\([0-9]*\):\([0-9]*\)\] two links:.*/\1 \2/p' "$log" | awk '{ print $1 * 60 + $2 }')
printf '   packages and build: %s s, everything: %d s\n' "$built" $((SECONDS - began))
[ "$built" -le 300 ] || fail "the build took $built s"
expect_nothing_left "$before" "$clone"
[ "$(cd "$clone" && find . -path ./build -prune -o -type f -print | sort | xargs -d '\n' sha256sum)" = "$files_before" ] || fail 'it changed the clone outside of build/'
sed -n '/the result/,$p' "$log"

step 'the second run ends within 90 s'
began=$SECONDS
"$clone/deploy/try.sh" </dev/null >"$log" 2>&1 || fail "exit $?"
printf '   %d s\n' $((SECONDS - began))
[ $((SECONDS - began)) -le 90 ] || fail "it took $((SECONDS - began)) s"
expect_table "$log"
expect_nothing_left "$before" "$clone"

step 'an ordinary user, in a user namespace'
# The device is as a desktop has it, for this run only: rw for everybody.
chown -R 65534:65534 "$fresh" && chmod 755 "$fresh" || fail 'chown'
# From a folder that this user may enter: ctest's may be in somebody's private one.
cd / || fail 'cd /'
unshare --mount sh -c 'mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 &&
  exec setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$1" "$1/my clone/deploy/try.sh"' sh "$fresh" </dev/null >"$log" 2>&1 || fail "exit $?"
expect_table "$log"
expect_nothing_left "$before" "$clone"
printf 'ok\n'
