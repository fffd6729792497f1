#The plain types at the top of common /.
target_link_libraries(test_base PRIVATE hawser_base)
