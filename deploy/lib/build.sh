# shellcheck shell=bash
# Configuring and building for deploy/try.sh and tests/run.sh: both share one folder of objects. Sourced by bash.

# build_configure PROJECT FOLDER ARGUMENT..: runs cmake, quietly unless it fails. Ninja and ccache are used where present.
# A folder that was configured for another place or generator (a moved clone) is configured afresh.
build_configure() {
  local project=$1 folder=$2 generator=()
  shift 2
  if command -v ninja >/dev/null; then generator=(-G Ninja); else generator=(-G 'Unix Makefiles'); fi
  if command -v ccache >/dev/null; then generator+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  mkdir -p "$folder" || return 1
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

# build_targets FOLDER TARGET..: builds; prints the log's tail when it fails.
build_targets() {
  local folder=$1 arguments=()
  shift
  [ $# -eq 0 ] || arguments=(--target "$@")
  if ! cmake --build "$folder" --parallel "$(nproc)" "${arguments[@]}" >"$folder/build.log" 2>&1 </dev/null; then
    grep -nE 'error|Error|FAILED' "$folder/build.log" | head -n 20 >&2
    tail -n 30 "$folder/build.log" >&2
    return 1
  fi
}
