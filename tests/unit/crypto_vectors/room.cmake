# The vectors of PROTOCOL.md that need keys: they test wire and crypto together.
target_link_libraries(test_crypto_vectors PRIVATE hawser_crypto)
