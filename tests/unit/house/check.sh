#!/usr/bin/env bash
# The house rules of README.md's layout, as far as a program can check them. `check.sh [ROOT]` prints one line per breach,
# "rule: file:line: what", and exits 1 when there is any. tests/unit/house/selftest.sh shows that every rule fires.
set -u
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/../../..}" || exit 2

top_files='CMakeLists.txt CMakePresets.json README.md CONTRIBUTING.md CHANGELOG.md SECURITY.md LICENSE .clang-format .clang-tidy .gitignore'
top_folders='common platform client server deploy tests .ci'

# What the engine may include in angle brackets: no clock, no file, no thread, no randomness is among these.
engine_headers='algorithm any array atomic bit bitset cassert cctype cfloat charconv cinttypes climits cmath compare concepts
  cstdarg cstddef cstdint cstdio cstdlib cstring deque exception forward_list functional initializer_list iosfwd iomanip
  istream iterator limits list map memory memory_resource new numbers numeric optional ostream queue ranges set span sstream
  stack stdexcept string string_view tuple type_traits typeinfo unordered_map unordered_set utility variant vector version'

# A room may use rooms of a lower rank only; which of these it does use is declared in common/CMakeLists.txt.
declare -A rank=([base]=0 [wire]=1 [crypto]=2 [queue]=2 [recovery]=3 [config]=3 [congestion]=4 [path]=5 [scheduler]=5
                 [session]=6 [control]=7)

breaches=0
breach() {
  printf '%s\n' "$*"
  breaches=$((breaches + 1))
}

# files FOLDER PATTERN..: the files below FOLDER whose name matches, without build folders.
files() {
  local folder=$1 names=() pattern
  shift
  [ -d "$folder" ] || return 0
  for pattern in "$@"; do names+=(-o -name "$pattern"); done
  find "$folder" \( -name 'build' -o -name 'build-*' -o -name .git \) -prune -o -type f \( "${names[@]:1}" \) -print | sort
}
cpp() { files "$1" '*.h' '*.cc'; }

# code FILE..: "file:line:text" of every line, comments and string literals taken out, so that prose cannot break a rule.
code() {
  [ $# -gt 0 ] || return 0
  awk '
    FNR == 1 { block = 0 }
    { line = $0
      if (line !~ /^[ \t]*#[ \t]*include/) gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
      if (block) { if (line ~ /\*\//) { sub(/^.*\*\//, "", line); block = 0 } else next }
      gsub(/\/\*[^*]*\*\//, "", line)
      sub(/\/\/.*$/, "", line)
      if (line ~ /\/\*/) { sub(/\/\*.*$/, "", line); block = 1 }
      if (line !~ /^[ \t]*$/) print FILENAME ":" FNR ":" line }' "$@"
}

# forbid RULE WHY PATTERN FILE..: the extended regular expression must not occur in the files' code.
forbid() {
  local rule=$1 why=$2 pattern=$3 hit
  shift 3
  [ $# -gt 0 ] || return 0
  while IFS= read -r hit; do
    breach "$rule: $hit ($why)"
  done < <(code "$@" | grep -E -- "^[^:]*:[0-9]+:.*($pattern)")
}

# includes FILE..: "file:line:<header>" or "file:line:\"header\"".
includes() { code "$@" | sed -nE 's/^([^:]*:[0-9]+:)[ \t]*#[ \t]*include[ \t]*([<"][^>"]*[>"]).*/\1\2/p'; }

check_top_level() {
  local entry name
  for entry in ./* ./.[!.]*; do
    name=${entry#./}
    [ -e "$entry" ] || continue
    case $name in .git | build | build-* | .cache | compile_commands.json | CMakeUserPresets.json) continue ;; esac
    case " $top_files $top_folders " in
      *" $name "*) ;;
      *) breach "top-level: $name: not one of the folders and files that the top level holds" ;;
    esac
  done
  for name in $top_folders; do
    [ "$name" = .ci ] || [ ! -d "$name" ] || [ -s "$name/README.md" ] ||
      breach "top-level: $name/README.md: a top folder says in a README what lives there and what may not"
  done
}

check_engine() {
  local sources hit file header
  mapfile -t sources < <(cpp common)
  [ ${#sources[@]} -gt 0 ] || return 0
  while IFS= read -r hit; do
    file=${hit%%:*}
    header=${hit##*:}
    case $header in
      '"common/'*) continue ;;
      '"'*)
        breach "engine-include: $hit (common/ includes common/ only, by its full path)"
        continue
        ;;
    esac
    header=${header//[<>]/}
    case " ${engine_headers//$'\n'/ } " in *" $header "*) continue ;; esac
    case $file:$header in
      *:sodium.h | common/crypto/cipher_openssl.cc:openssl/* | common/config/*:toml++/toml.h | common/config/*:toml.hpp | common/control/*:nlohmann/*) continue ;;
    esac
    breach "engine-include: $hit (the engine knows no OS, clock, file or thread)"
  done < <(includes "${sources[@]}")
  forbid engine-clock 'time is an argument' \
    '\b(clock_gettime|gettimeofday|steady_clock|system_clock|high_resolution_clock|timespec_get|ev_now|CLOCK_[A-Z]+)\b|\b(std::)?time *\( *(NULL|nullptr|0|&)' \
    "${sources[@]}"
  forbid engine-random 'randomness is an injected Rng' \
    '\brandombytes|_keypair *\(|_keygen *\(|\bgetrandom\b|\brandom_device\b|\bmt19937|\bs?rand(om)? *\(' "${sources[@]}"
  forbid engine-os 'the OS is platform/'"'"'s' '\b(getenv|fopen|fstream|std::cout|std::cerr|setsockopt|recvmsg|sendmsg|ioctl) *[(<;]?' "${sources[@]}"
}

# Libraries that have one home each, so that replacing one touches one folder. The tests may use what they need.
check_libraries() {
  local hit file header
  while IFS= read -r hit; do
    file=${hit%%:*}
    header=${hit##*:}
    case $header:$file in
      *toml++*:common/config/* | *toml.hpp*:common/config/*) ;;
      *toml++*:* | *toml.hpp*:*) breach "library-home: $hit (toml++ lives in common/config only)" ;;
      *nlohmann*:common/control/* | *nlohmann*:client/* | *nlohmann*:server/* | *nlohmann*:platform/linux/undo.cc) ;;
      *nlohmann*:*) breach "library-home: $hit (nlohmann-json lives in common/control, client, server and the undo log only)" ;;
      [\<\"]ev.h*:platform/ev/* | *libev/ev.h*:platform/ev/*) ;;
      [\<\"]ev.h*:* | *libev/ev.h*:*) breach "library-home: $hit (libev lives in platform/ev only)" ;;
      *sqlite3.h*:server/*) ;;
      *sqlite3.h*:*) breach "library-home: $hit (SQLite lives in server only)" ;;
    esac
  done < <(mapfile -t s < <(cpp common; cpp platform; cpp client; cpp server); includes "${s[@]}")
  while IFS= read -r hit; do
    breach "library-home: $hit (libev lives in platform/ev only)"
  done < <(mapfile -t s < <(cpp tests); includes "${s[@]}" | grep -E ':[<"](libev/)?ev\.h')
}

# The declared graph of rooms, from common/CMakeLists.txt: "room dependency" per line.
declared_rooms() {
  [ -f common/CMakeLists.txt ] || return 0
  sed -nE 's/^hawser_room\(([^)]*)\)/\1/p' common/CMakeLists.txt | awk '
    { for (i = 2; i <= NF; i++) if ($i ~ /^hawser_/) { sub(/^hawser_/, "", $i); print $1, $i } print $1, "base" }'
}

# "room dependency" of the graph's transitive closure.
closed_rooms() {
  declared_rooms | awk '
    { uses[$1, $2] = 1; room[$1]; room[$2] }
    END { for (k in room) for (i in room) for (j in room) if (((i, k) in uses) && ((k, j) in uses)) uses[i, j] = 1
          for (pair in uses) { split(pair, p, SUBSEP); print p[1], p[2] } }'
}

room_of() {
  case $1 in
    common/*/*) r=${1#common/} && printf '%s' "${r%%/*}" ;;
    common/*) printf base ;;
    *) printf '%s' "${1%%/*}" ;;
  esac
}

check_direction() {
  local from to hit file header
  while read -r from to; do
    [ -n "${rank[$from]:-}" ] || { breach "direction: common/CMakeLists.txt: room $from is not in the house"; continue; }
    [ "${rank[$to]:-99}" -lt "${rank[$from]}" ] ||
      breach "direction: common/CMakeLists.txt: $from may not depend on $to"
  done < <(declared_rooms | sort -u)
  local closure
  closure=" $(closed_rooms | tr ' \n' '> ') "
  while IFS= read -r hit; do
    file=${hit%%:*}
    header=${hit##*:}
    header=${header//\"/}
    from=$(room_of "$file")
    to=$(room_of "$header")
    [ "$from" != "$to" ] || continue
    case $file:$header in
      common/*:common/*) case $closure in *" $from>$to "*) continue ;; esac ;;
      platform/*:common/*) [ "$to" != base ] || continue ;;
      client/*:common/* | client/*:platform/* | server/*:common/* | server/*:platform/*) continue ;;
    esac
    breach "direction: $hit ($from may not include $to)"
  done < <(mapfile -t s < <(cpp common; cpp platform; cpp client; cpp server); includes "${s[@]}" | grep -E ':"[a-z]+/')
}

# Headers that include each other in a circle. tsort names the loop's members on stderr.
check_cycles() {
  local loop
  while IFS= read -r loop; do
    breach "cycle: $loop: headers include each other in a circle"
  done < <(mapfile -t s < <(for folder in common platform client server; do files $folder '*.h'; done)
    [ ${#s[@]} -gt 0 ] && includes "${s[@]}" | sed -nE 's/^([^:]*):[0-9]+:"(.*)"$/\1 \2/p' | tsort 2>&1 >/dev/null |
      sed -n 's/^tsort: \([a-z].*\.h\)$/\1/p')
}

# The first line that is neither blank, a shebang, `#cloud-config` nor a cppcheck/shellcheck directive is a comment with words in it.
check_headings() {
  local file
  while IFS= read -r file; do
    awk -v file="$file" '
      /^#!/ || /^#cloud-config$/ || /^# shellcheck / { next }
      /^[ \t]*$/ { next }
      { good = file ~ /\.(h|cc|js)$/ ? "^(//|/\\*)" : (file ~ /\.[1-9]$/ ? "^(\\.\\\\\"|\x27\\\\\")" : "^#")
        exit !($0 ~ good && $0 ~ /[A-Za-z]+ [A-Za-z0-9"(`]+/) }
      END { if (NR == 0) exit 1 }' "$file" ||
      breach "heading: $file:1: opens without a comment that says what it is for"
  done < <(for folder in common platform client server deploy tests .ci; do
    files $folder '*.h' '*.cc' '*.sh' '*.py' '*.awk' '*.cmake' 'CMakeLists.txt' '*.service' '*.conf' '*.yaml' '*.toml' '*.[58]' run
  done
  [ ! -f CMakeLists.txt ] || printf 'CMakeLists.txt\n')
}

# Longer ones say why in a comment that contains "long because".
check_lengths() {
  local file lines
  while IFS= read -r file; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 600 ] || grep -qiE '(//|#).*\blong because\b' "$file" ||
      breach "file-length: $file:1: $lines lines (at most 600, or a comment: Long because ...)"
  done < <(for folder in common platform client server deploy tests; do files $folder '*.h' '*.cc' '*.sh' '*.py'; done)

  # Google style puts a function's first line and its closing brace in one column: 0, or 2 within a class.
  while IFS= read -r file; do
    awk -v limit=80 '
      BEGIN { reason = -100 }
      function indent(s) { match(s, /^ */); return RLENGTH }
      { depth = indent($0) }
      /^ *(\/\/|$)/ { if (tolower($0) ~ /long because/) reason = NR; next }
      tolower($0) ~ /\/\/.*long because/ { reason = NR }
      (depth == 0 || depth == 2) && !/^ *[})#]/ && !/^ *(public|private|protected):/ { start[depth] = NR; head[depth] = $0 }
      (depth == 0 || depth == 2) && /^ *}/ {
        if (head[depth] ~ /\(/ && head[depth] !~ /^ *(namespace|class|struct|union|enum|extern "C"|TEST_CASE|static const|const |constexpr |inline constexpr )/ &&
            NR - start[depth] + 1 > limit && reason < start[depth] - 6)
          printf "%s:%d: %d lines: %s\n", FILENAME, start[depth], NR - start[depth] + 1, head[depth]
        head[depth] = "" }' "$file" | while IFS= read -r lines; do
      printf 'function-length: %s (at most 80, or a comment: Long because ...)\n' "$lines"
    done
  done < <(for folder in common platform client server tests; do cpp $folder; done) >"$scratch"
  while IFS= read -r file; do breach "$file"; done <"$scratch"
}

check_loose_ends() {
  local hit
  while IFS= read -r hit; do
    breach "loose-end: $hit"
  done < <(for folder in common platform client server deploy tests .ci; do files $folder '*'; done |
    grep -vE '^tests/unit/house/|\.(png|bin|gz)$' | tr '\n' '\0' | xargs -0r grep -nHIE '\b(TODO|FIXME|XXX)\b|\bnot implemented\b' 2>/dev/null)
}

# The wall clock jumps; everything that measures time uses CLOCK_BOOTTIME. Dates for people come from one place, platform/.
check_wall_clock() {
  local sources
  mapfile -t sources < <(cpp client; cpp server)
  forbid wall-clock 'dates come from platform/' '\b(system_clock|gettimeofday|CLOCK_REALTIME)\b|\b(std::)?time *\( *(NULL|nullptr|0|&)' \
    "${sources[@]}"
}

scratch=$(mktemp) || exit 2
trap 'rm -f "$scratch"' EXIT
check_top_level
check_engine
check_libraries
check_direction
check_cycles
check_headings
check_lengths
check_loose_ends
check_wall_clock
if [ "$breaches" -gt 0 ]; then
  printf '%d breaches of the house rules\n' "$breaches"
  exit 1
fi
printf 'the house rules hold\n'
