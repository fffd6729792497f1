// The outer forms of a UDP payload: what can be read before anything is authenticated.
#pragma once

#include <optional>

#include "common/types.h"

namespace hawser::wire {

enum class DatagramType : uint8_t { data = 1, initiation = 2, response = 3, cookie_reply = 4 };

inline constexpr uint8_t kProtocolVersion = 1;
inline constexpr size_t kTagSize = 16;
// type 1, receiver index 4, low 8 bits of the path id, low 24 bits of the packet number: also the AEAD's associated data.
inline constexpr size_t kDataHeaderSize = 9;
inline constexpr size_t kMinDataDatagram = kDataHeaderSize + kTagSize;
// What a full data datagram costs over UDP: header, one unsized data frame, tag.
inline constexpr size_t kFullDatagramOverhead = 31;

struct DataHeader {
  SessionIndex receiver;
  uint8_t path_low8 = 0;
  uint32_t packet_number_low24 = 0;
};

// The type of a datagram by its first byte, or nothing when it is empty or of an unknown type.
std::optional<DatagramType> datagram_type(ByteSpan datagram);
// Nothing when too short for header and tag, or not of type data.
std::optional<DataHeader> parse_data_header(ByteSpan datagram);
// Writes kDataHeaderSize bytes to the front of `out`, which must be at least that long.
void write_data_header(const DataHeader& h, MutableByteSpan out);

// The packet number nearest to `expected` whose low bits are given (RFC 9000, A.3; 24 bits here).
PacketNumber widen_packet_number(uint32_t low24, PacketNumber expected);
// The same for any 24-bit counter; the result is never below zero or above 2^62.
uint64_t widen24(uint32_t low24, uint64_t expected);

// Fixed handshake layouts; all integers big-endian.
//   initiation: type 1, version 1, zero 2, sender 4, e 32, enc_static 48, enc_payload P+16, mac1 16, mac2 16
//   response:   type 1, version 1, zero 2, sender 4, receiver 4, e 32, enc_payload P+16, mac1 16, mac2 16
//   cookie:     type 1, version 1, zero 2, receiver 4, nonce 24, enc_cookie 16+16
// Every initiation is exactly kInitiationSize bytes (payload zero-padded), so no response can be longer than it.
inline constexpr size_t kHandshakePrefix = 8;
inline constexpr size_t kKeySize = 32;
inline constexpr size_t kMacSize = 16;
inline constexpr size_t kInitiationSize = 1200;
inline constexpr size_t kInitiationPayload = kInitiationSize - kHandshakePrefix - kKeySize - (kKeySize + kTagSize) - kTagSize - 2 * kMacSize;
inline constexpr size_t kResponseOverhead = kHandshakePrefix + 4 + kKeySize + kTagSize + 2 * kMacSize;
inline constexpr size_t kMaxResponsePayload = kInitiationSize - kResponseOverhead;
inline constexpr size_t kCookieReplySize = kHandshakePrefix + 24 + 16 + kTagSize;

struct InitiationView {
  uint8_t version = 0;
  SessionIndex sender;
  ByteSpan noise;     // e, enc_static, enc_payload: Noise message 1
  ByteSpan mac1, mac2;
  ByteSpan mac1_input, mac2_input;  // everything before mac1; everything before mac2
};
struct ResponseView {
  uint8_t version = 0;
  SessionIndex sender, receiver;
  ByteSpan noise;     // e, enc_payload: Noise message 2
  ByteSpan mac1, mac2;
  ByteSpan mac1_input, mac2_input;
};
struct CookieReplyView {
  uint8_t version = 0;
  SessionIndex receiver;
  ByteSpan nonce;        // 24
  ByteSpan sealed;       // 16 + 16
};
std::optional<InitiationView> parse_initiation(ByteSpan datagram);
std::optional<ResponseView> parse_response(ByteSpan datagram);
std::optional<CookieReplyView> parse_cookie_reply(ByteSpan datagram);
// Write the cleartext prefix (type, version, zeros, indices) to the front of `out`.
void write_initiation_prefix(SessionIndex sender, MutableByteSpan out);                        // 8 bytes
void write_response_prefix(SessionIndex sender, SessionIndex receiver, MutableByteSpan out);   // 12 bytes
void write_cookie_reply_prefix(SessionIndex receiver, MutableByteSpan out);                    // 8 bytes

}  // namespace hawser::wire
