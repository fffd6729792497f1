# Links are tried in network namespaces, as the platform is.
target_sources(test_client PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/platform/netns.cc)
target_include_directories(test_client PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/platform)
