#!/usr/bin/env bash
# A thousand users connect to one server, stay connected through thousands of new handshakes, and cost little while they are
# idle; floors of P12. Their throughput is measured by tests/bench/users, whose floors the noise of a shared machine breaks.
# timeout: 120
exec "$(dirname "$0")/../bench/users" --measures memory,handshakes --seconds 3 --rounds 3 --floors yes
