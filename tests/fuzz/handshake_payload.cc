// Both Noise payloads: decoding is bounded, and what was decoded encodes and decodes to the same.
#include "common/wire/handshake_payload.h"

#include "common/wire/datagram.h"
#include "tests/fuzz/check.h"

using namespace hawser;
using namespace hawser::wire;

namespace {

void check_initiation(ByteSpan bytes) {
  const auto p = decode_initiation_payload(bytes);
  if (!p) return;
  std::array<uint8_t, kInitiationPayload> out;
  FUZZ_CHECK(encode(*p, MutableByteSpan(out)));
  const auto q = decode_initiation_payload(ByteSpan(out));
  FUZZ_CHECK(q && q->minor_version == p->minor_version && q->session_nonce == p->session_nonce &&
             q->ciphers == p->ciphers);
  FUZZ_CHECK(q->enrolment.has_value() == p->enrolment.has_value());
  FUZZ_CHECK(!p->enrolment ||
             (q->enrolment->token_id == p->enrolment->token_id && q->enrolment->proof == p->enrolment->proof));
}

void check_response(ByteSpan bytes) {
  const auto p = decode_response_payload(bytes);
  if (!p) return;
  const std::vector<uint8_t> out = encode(*p);
  FUZZ_CHECK(out.size() <= kMaxResponsePayload);
  const auto q = decode_response_payload(ByteSpan(out));
  FUZZ_CHECK(q && q->index() == p->index());
  if (const auto* a = std::get_if<AcceptPayload>(&*p)) {
    const auto& b = std::get<AcceptPayload>(*q);
    FUZZ_CHECK(a->endpoints.size() <= kMaxAnnouncedEndpoints && a->routes.size() <= kMaxAnnouncedRoutes);
    FUZZ_CHECK(a->dns.size() <= kMaxAnnouncedDns);
    FUZZ_CHECK(a->minor_version == b.minor_version && a->session_nonce == b.session_nonce && a->cipher == b.cipher);
    FUZZ_CHECK(a->mtu == b.mtu && a->inner_v4 == b.inner_v4 && a->inner_v6 == b.inner_v6);
    FUZZ_CHECK(a->server_v4 == b.server_v4 && a->server_v6 == b.server_v6 && a->observed == b.observed);
    FUZZ_CHECK(a->endpoints == b.endpoints && a->routes == b.routes && a->dns == b.dns);
  } else {
    FUZZ_CHECK(std::get<RefusedPayload>(*p).reason == std::get<RefusedPayload>(*q).reason);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  check_initiation({data, size});
  check_response({data, size});
  return 0;
}
