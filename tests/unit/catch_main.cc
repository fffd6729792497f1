// The entry point that every unit test program shares. Debian 12 ships Catch2 v2.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
