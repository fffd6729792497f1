# shellcheck shell=bash
# Configuring and building for deploy/try.sh, deploy/install.sh and tests/run.sh, which share one folder of objects.
# Sourced by bash.

# build_configure PROJECT FOLDER ARGUMENT..: runs cmake, quietly unless it fails. Ninja and ccache are used where present.
# A folder that was configured for another place or generator (a moved clone) is configured afresh.
build_configure() {
  local project=$1 folder=$2 generator=()
  shift 2
  if command -v ninja >/dev/null; then generator=(-G Ninja); else generator=(-G 'Unix Makefiles'); fi
  if command -v ccache >/dev/null; then generator+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  mkdir -p "$folder" || return 1
  if [ ! -w "$folder" ]; then
    printf '%s belongs to another user: remove it (sudo rm -rf %q) or build as that user\n' "$folder" "$folder" >&2
    return 1
  fi
  if [ -f "$folder/CMakeCache.txt" ]; then
    if ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$project" "$folder/CMakeCache.txt" ||
      ! grep -qxF "CMAKE_GENERATOR:INTERNAL=${generator[1]}" "$folder/CMakeCache.txt"; then
      rm -rf "$folder/CMakeCache.txt" "$folder/CMakeFiles"
    fi
  fi
  if ! cmake -S "$project" -B "$folder" "${generator[@]}" "$@" >"$folder/configure.log" 2>&1 </dev/null; then
    tail -n 30 "$folder/configure.log" >&2
    return 1
  fi
}

# build_targets FOLDER TARGET..: builds; shows the errors when it fails. Two builds of one folder wait for each other, and the
# build ends when this script is killed: ninja and make take their compilers along, cmake --build would leave them.
build_targets() {
  local folder=$1 tool
  shift
  if [ -f "$folder/build.ninja" ]; then tool=(ninja -C "$folder"); else tool=(make -C "$folder" -j "$(nproc)"); fi
  if ! (
    flock 9
    exec setpriv --pdeathsig TERM "${tool[@]}" "$@"
  ) >"$folder/build.log" 2>&1 9>"$folder/.lock" </dev/null; then
    grep -nE '(error|Error|FAILED)\b' "$folder/build.log" | head -n 20 >&2
    printf 'the whole log is %s\n' "$folder/build.log" >&2
    return 1
  fi
}
