#!/usr/bin/env bash
# Shows that each house rule fires: plants one breach at a time in a small clean tree and expects check.sh to name the rule.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(mktemp -d) || exit 2
trap 'rm -rf "$tree"' EXIT
failures=0
cases=0

clean_tree() {
  rm -rf "${tree:?}"/* "$tree"/.[!.]*
  mkdir -p "$tree"/{common/{wire,crypto,session,config,control,path},platform/{ev,linux},client,server,deploy,tests/unit,.ci}
  local folder
  for folder in common platform client server deploy tests; do printf 'What lives here.\n' >"$tree/$folder/README.md"; done
  printf '# The whole project.\n' >"$tree/CMakeLists.txt"
  printf '# The rooms of the engine.\nhawser_room(wire hawser_base)\nhawser_room(crypto hawser_wire PkgConfig::SODIUM)\n' >"$tree/common/CMakeLists.txt"
  printf 'hawser_room(path hawser_wire)\nhawser_room(session hawser_path hawser_crypto)\n' >>"$tree/common/CMakeLists.txt"
  printf '// Plain types that every room uses.\n#pragma once\n#include <cstdint>\n' >"$tree/common/types.h"
  printf '// Frames of the wire: clock_gettime in a comment breaks nothing.\n#pragma once\n#include "common/types.h"\n' >"$tree/common/wire/frame.h"
  printf '// One session ties the rooms together.\n#include "common/wire/frame.h"\nconst char* kText = "time(nullptr)";\n' >"$tree/common/session/session.cc"
  printf '// Wraps the event loop.\n#include <ev.h>\n#include "common/types.h"\n' >"$tree/platform/ev/loop.cc"
  printf '// Prints the status.\n#include <nlohmann/json.hpp>\n#include "common/session/session.h"\n' >"$tree/client/status.cc"
}

# expect RULE NAME: the tree as it stands must break RULE.
expect() {
  local output
  cases=$((cases + 1))
  if output=$(bash "$here/check.sh" "$tree"); then
    printf 'FAILED %s: the planted breach was not seen\n' "$2"
    failures=$((failures + 1))
  elif ! grep -q "^$1: " <<<"$output"; then
    printf 'FAILED %s: expected the rule %s, got:\n%s\n' "$2" "$1" "$output"
    failures=$((failures + 1))
  fi
  clean_tree
}

# plant RULE FILE TEXT: append the text to a file of the clean tree and expect the rule to fire.
plant() {
  [ -s "$tree/$2" ] || case $2 in
    *.h | *.cc) printf '// A file that says what it is for.\n' >"$tree/$2" ;;
  esac
  printf '%b' "$3" >>"$tree/$2"
  expect "$1" "$2 with '${3:0:60}'"
}

clean_tree
if ! output=$(bash "$here/check.sh" "$tree"); then
  printf 'FAILED the clean tree breaks a rule:\n%s\n' "$output"
  failures=1
fi

mkdir "$tree/src"; expect top-level 'a new top folder'
plant top-level notes.txt 'x\n'
rm "$tree/server/README.md"; expect top-level 'a folder without README'
plant engine-include common/wire/frame.h '#include <sys/socket.h>\n'
plant engine-include common/wire/frame.h '#include <unistd.h>\n'
plant engine-include common/session/session.cc '#include <chrono>\n'
plant engine-include common/session/session.cc '#include <thread>\n'
plant engine-include common/session/session.cc '#include "platform/tun.h"\n'
plant engine-include common/session/session.cc '#include <ev.h>\n'
plant engine-include common/session/session.cc '#include "session.h"\n'
plant engine-include common/crypto/noise.cc '#include <openssl/evp.h>\n'
plant engine-clock common/session/session.cc 'auto t = std::chrono::steady_clock::now();\n'
plant engine-clock common/session/session.cc 'long t = time(nullptr);\n'
plant engine-clock common/session/session.cc 'clock_gettime(CLOCK_BOOTTIME, &ts);\n'
plant engine-random common/crypto/noise.cc 'randombytes_buf(key, 32);\n'
plant engine-random common/crypto/noise.cc 'crypto_box_keypair(pk, sk);\n'
plant engine-random common/crypto/noise.cc 'std::random_device d;\n'
plant engine-os common/session/session.cc 'auto* v = getenv("HOME");\n'
plant library-home common/session/session.cc '#include <toml++/toml.h>\n'
plant library-home client/profile.cc '#include <toml++/toml.h>\n'
plant library-home common/wire/frame.h '#include <nlohmann/json.hpp>\n'
plant library-home platform/linux/tun.cc '#include <nlohmann/json.hpp>\n'
plant library-home platform/linux/tun.cc '#include <ev.h>\n'
plant library-home client/up.cc '#include <ev.h>\n'
plant library-home tests/unit/loop_test.cc '#include <ev.h>\n'
plant library-home client/up.cc '#include <sqlite3.h>\n'
plant direction common/wire/frame.h '#include "common/crypto/noise.h"\n'
plant direction common/crypto/noise.cc '#include "common/session/session.h"\n'
plant direction platform/linux/tun.cc '#include "common/session/session.h"\n'
plant direction platform/linux/tun.cc '#include "client/up.h"\n'
plant direction client/up.cc '#include "server/run.h"\n'
plant direction server/run.cc '#include "tests/unit/helper.h"\n'
plant direction common/types.h '#include "common/wire/frame.h"\n'
plant direction common/CMakeLists.txt 'hawser_room(wire hawser_session)\n'
plant direction common/CMakeLists.txt 'hawser_room(attic hawser_wire)\n'
printf '// Half of a circle.\n#include "common/path/b.h"\n' >"$tree/common/path/a.h"
plant cycle common/path/b.h '#include "common/path/a.h"\n'
printf '#pragma once\n' >"$tree/common/path/a.h"; expect heading 'a header without a heading'
printf '#!/bin/sh\nset -e\n' >"$tree/deploy/x.sh"; expect heading 'a script without a heading'
printf '// ---\nint x;\n' >"$tree/client/x.cc"; expect heading 'a heading without words'
plant file-length client/long.cc "$(printf 'int a;\\n%.0s' {1..601})"
plant function-length client/long.cc "void Long() {\n$(printf '  Step();\\n%.0s' {1..80})}\n"
plant function-length client/long.cc "class C {\n  void Long(int a,\n            int b) {\n$(printf '    Step();\\n%.0s' {1..80})  }\n};\n"
plant loose-end client/up.cc '// TODO: later\n'
plant loose-end deploy/note.md 'FIXME\n'
plant wall-clock client/up.cc 'auto t = std::chrono::system_clock::now();\n'

# A stated reason is accepted.
{ printf '// A table.\n// Long because: one line per row.\n'; printf 'int a;\n%.0s' {1..601}; } >"$tree/client/long.cc"
{ printf '// A switch.\n// Long because it is one switch over all frames.\nvoid Long() {\n'; printf '  Step();\n%.0s' {1..90}; printf '}\n'; } >"$tree/client/switch.cc"
bash "$here/check.sh" "$tree" || { printf 'FAILED a stated reason was not accepted\n'; failures=$((failures + 1)); }

printf '%d planted breaches, %d failures\n' "$cases" "$failures"
[ "$failures" -eq 0 ]
