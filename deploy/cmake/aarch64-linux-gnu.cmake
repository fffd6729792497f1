# Toolchain file: build for arm64 on another Debian machine (CMake preset `arm64`).
# Needs g++-aarch64-linux-gnu, and the libraries of the arm64 architecture beside the host's own:
#   dpkg --add-architecture arm64 && apt-get update
#   apt-get install g++-aarch64-linux-gnu libsodium-dev:arm64 libssl-dev:arm64 libev-dev:arm64 libmnl-dev:arm64 libc-ares-dev:arm64 libsystemd-dev:arm64 libsqlite3-dev:arm64
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

# pkg-config must answer for arm64 and never fall back to the host's libraries. Header-only libraries live in /usr/share.
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
