# The registry as a library of its own, so that its tests need nothing of the server. Included by server/CMakeLists.txt.
pkg_check_modules(SQLITE3 REQUIRED IMPORTED_TARGET sqlite3)
file(GLOB hawser_registry_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/registry.cc ${CMAKE_CURRENT_LIST_DIR}/registry_*.cc)
add_library(hawser_registry STATIC ${hawser_registry_sources})
target_link_libraries(hawser_registry PUBLIC hawser_config PRIVATE PkgConfig::SQLITE3)
