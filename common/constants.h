// All constants of the protocol and the engine, with units; derived ones are written as formulas.
#pragma once

#include "common/types.h"

namespace hawser {

// ---- keys (PROTOCOL.md, "Keys") ---------------------------------------------------------------------------------
inline constexpr Duration kRekeyAfter = Duration::seconds(120);
inline constexpr Duration kRejectKeyAfter = Duration::seconds(180);
inline constexpr Duration kHandshakeRetryFirst = Duration::millis(250);   // the same bytes again
inline constexpr Duration kHandshakeRetryMax = Duration::seconds(5);
inline constexpr Duration kInitiationLife = Duration::seconds(5);         // identical bytes get the same response this long
inline constexpr size_t kMaxPendingPerUser = 4;
inline constexpr size_t kMaxPendingHandshakes = 4096;                     // all users together
inline constexpr size_t kMaxLookups = 1024;                               // registry questions under way
inline constexpr Duration kLookupLife = Duration::seconds(5);
inline constexpr int kMaxHandedCopies = 64;                               // of an initiation that another worker answers
inline constexpr Duration kPendingLife = Duration::seconds(15);           // without key confirmation
inline constexpr size_t kRememberedInitiations = 32'768;                  // whose replay is ignored; 8 bytes each and an index
inline constexpr Duration kTombstoneLife = Duration::seconds(30);         // a closed session still says why

// ---- load (PROTOCOL.md, "Denial of service") --------------------------------------------------------------------
inline constexpr int kHandshakesPerSecondUnproved = 1'000;  // above this an address must prove itself with a cookie
inline constexpr int kHandshakesPerSecondTotal = 4'000;     // above this initiations are dropped, data goes on
inline constexpr int kLeastHandshakesPerSecondUnproved = 200;  // of each worker, however many share the two above
inline constexpr int kHandshakesPerTurn = 64;               // in one on_datagrams call
inline constexpr int kRefusalsPerSecond = 50;

// ---- paths ------------------------------------------------------------------------------------------------------
inline constexpr size_t kMaxPaths = 16;                     // live paths of a session
inline constexpr size_t kMostLeaving = 4;                   // paths that are gone and still remembered
inline constexpr Duration kInitialRtt = Duration::millis(333);            // RFC 9002, 6.2.2
inline constexpr Duration kGranularity = Duration::millis(1);
inline constexpr Duration kMaxAckDelay = Duration::millis(5);
inline constexpr int kAckElicitingThreshold = 2;            // datagrams per acknowledgement at low rates
inline constexpr int kAcksPerRoundTrip = 8;                 // at higher ones, where not a datagram waits for more than kMaxAckDelay,
inline constexpr int kMostPerAck = 16;                      // and no acknowledgement for more than so many
inline constexpr Duration kSuspectFloor = Duration::millis(100);  // nothing unanswered for less
inline constexpr Duration kSilenceFloor = Duration::millis(50);   // nor without such a silence
inline constexpr int kLostAfterProbes = 3;                  // probe timeouts from suspect to lost
inline constexpr Duration kProbeLostFirst = Duration::millis(300);        // probing a lost path: 0.3, 0.6, 1.2, ... 5 s
inline constexpr Duration kProbeLostInUse = Duration::millis(300);        // the longest step while there is inner traffic
inline constexpr double kEjectLoss = 0.30, kReturnLoss = 0.10;            // of a second's datagrams; reference: section 3.2
inline constexpr Duration kEjectLossAfter = Duration::millis(500);
inline constexpr uint64_t kJudgeLossPackets = 20;           // fewer in a second say nothing
inline constexpr Duration kEjectDelay = Duration::millis(600), kReturnDelay = Duration::millis(450);  // beyond the best path's RTT
inline constexpr Duration kEjectDelayAfter = Duration::seconds(1);
inline constexpr Duration kReturnAfter = Duration::seconds(2);
inline constexpr Duration kProbeBenched = Duration::millis(50);           // ejected or flapping, while there is inner traffic
inline constexpr double kFlapTolerance = 3;                 // losses of an interface, decayed, that cost nothing
inline constexpr Duration kFlapHalfLife = Duration::seconds(15);
inline constexpr Duration kFlapPenaltyMax = Duration::seconds(30);
inline constexpr Duration kActiveProbe = Duration::seconds(1);            // idle path while inner traffic is recent
inline constexpr Duration kTrafficIsRecent = Duration::seconds(10);
inline constexpr Duration kTrafficWaits = Duration::seconds(150);        // no path works: a TCP tries again within two minutes (Linux)
inline constexpr double kProbeLostOfOutage = 0.01;                       // meanwhile probes are so far apart, between the two above
inline constexpr Duration kKeepalive = Duration::seconds(25);             // at first
inline constexpr Duration kKeepaliveLeast = Duration::seconds(10);       // however soon a translator forgets
inline constexpr Duration kValidationRetryFirst = Duration::millis(200);
inline constexpr Duration kValidationRetryMax = Duration::seconds(5);
inline constexpr Duration kControlRetry = Duration::millis(200);          // PATH_STATUS and POLICY until acknowledged: 0.2, 0.4, ... 5 s
inline constexpr Duration kPathCloseRetry = Duration::millis(20);         // PATH_CLOSE, three times in all
inline constexpr Duration kFollowServerAfter = Duration::seconds(1);      // a lost path goes where the server answers others
inline constexpr Duration kTryOtherSourceAfter = Duration::seconds(5);     // a lost path goes to another address of its interface
inline constexpr Duration kReconnectAfter = Duration::seconds(1);         // all paths silent this long: a new handshake
inline constexpr int kAntiAmplification = 3;                // RFC 9000, 8.1

// ---- sizes ------------------------------------------------------------------------------------------------------
inline constexpr uint16_t kBaseDatagram = 1200;             // UDP payload every path carries (RFC 8899, BASE_PLPMTU)
inline constexpr uint16_t kMaxDatagram = 1472;              // UDP payload of a 1500-byte IPv4 packet
inline constexpr uint16_t kMaxDatagramV6 = 1452;
inline constexpr int kMtuProbeTries = 3;                    // RFC 8899, MAX_PROBES
inline constexpr Duration kMtuRaiseAfter = Duration::seconds(600);        // RFC 8899, PMTU_RAISE_TIMER
inline constexpr uint64_t kBlackHoleLosses = 4;             // full-size datagrams lost in a row, none arriving: is it the size?
inline constexpr uint16_t kLeastTunnelMtu = 1280;           // IPv6 wants it (RFC 8200, section 5)
inline constexpr Duration kRaiseTunnelMtuAfter = Duration::seconds(60);   // all paths carried more for so long
inline constexpr int kTooBigPerSecond = 50;                 // ICMP messages to senders of packets that are too large, per session
inline constexpr int kTooBigBurst = 20;
inline constexpr size_t kMaxAnswered = 8192;                // records of sent datagrams kept behind the oldest unanswered one
inline constexpr Duration kLostMemory = Duration::seconds(5);             // how long a datagram declared lost may still be acknowledged
inline constexpr Duration kMostReordering = Duration::millis(100);     // by which a datagram may be overtaken on its path and is still waited for
inline constexpr size_t kFramesPerDatagram = 6;             // small packets sharing one datagram

// ---- order and repair -------------------------------------------------------------------------------------------
inline constexpr size_t kLanes = 1024;
inline constexpr size_t kLaneWindow = 1u << 16;             // farthest ahead of the next expected sequence that is believed
inline constexpr size_t kResequencerBytes = 12u << 20;      // per session, whole buffers: 8 MB of full packets
inline constexpr Duration kResequencerMinWait = Duration::millis(20);
inline constexpr Duration kResequencerMaxWait = Duration::millis(800);
inline constexpr Duration kReinjectFor = Duration::millis(1'500);         // from the first sending; then the sender gives up
inline constexpr Duration kReinjectRealtimeFor = Duration::millis(150);
inline constexpr size_t kMaxSkippedRanges = 64;             // per lane: gaps given up, whose packets may still come
inline constexpr Duration kReassemblyLife = Duration::seconds(1);

// What one session may hold, apart from what its paths have in flight: packets out of order, packets that wait to be sent, a
// megabyte of records for each path, and the state of its lanes.
inline constexpr size_t kLaneStateBytes = 4u << 20;

// ---- ingress queue (RFC 8290) -------------------------------------------------------------------------------------
inline constexpr size_t kFlowQueues = 1024;
inline constexpr size_t kPacketBuffer = 2048;               // bytes that a packet occupies, whatever its size
inline constexpr size_t kIngressBytes = 8u << 20;           // per session: more than a TCP sends at once that waited for order (Linux: 6 MB)
inline constexpr size_t kIngressPackets = 8192;             // per session: small packets occupy whole buffers
inline constexpr size_t kSessionShareOfPool = 3;            // a session queues and keeps at most one in so many of the buffers
inline constexpr Duration kCoDelInterval = Duration::millis(100);
inline constexpr Duration kCoDelTargetSparse = Duration::millis(5);
inline constexpr Duration kCoDelTargetMax = Duration::millis(60);
inline constexpr double kLossyPath = 0.002;                 // above it repairs are a part of the delay that inner flows see
inline constexpr double kCoDelTargetOfRtt = 0.43;
inline constexpr double kOwnQueueOfRtt = 1.25;              // of the least RTT: what is longer, others make who stand in the network's queue
inline constexpr double kOthersQueueCounts = 3.2;           // so often in the RTT through which a flow has to keep its rate
inline constexpr Duration kAwaitReturn = Duration::seconds(30);           // the queue keeps windows for a path that has gone
inline constexpr Duration kCutFirst = Duration::millis(250);              // after its loss, until it does
inline constexpr double kAwaitedRtt = 1.8;                  // of the RTT seen before
inline constexpr size_t kQuantum = 1514;
inline constexpr size_t kSmallPacket = 300;                 // bytes of IP: calls, games, DNS, what opens a connection

inline constexpr size_t kSessionBytes = kResequencerBytes + kIngressPackets * kPacketBuffer + (kMaxPaths + kMostLeaving) * (size_t{1} << 20) + kLaneStateBytes;

// ---- scheduling --------------------------------------------------------------------------------------------------
inline constexpr Duration kBulkArrivalBudget = Duration::millis(200);
inline constexpr double kDetourWorth = 0.03;                // of the rates of the sooner paths: bulk leaves a path of less out
inline constexpr uint64_t kMeasuredAfter = 4;                // datagrams delivered: from then on a path counts as measured
inline constexpr size_t kMaxCopies = 2048;                  // packets that wait to be sent on a second path
inline constexpr double kCopyShare = 0.03;                  // copies of small urgent packets, of the bytes sent
inline constexpr double kCopySynLoss = 0.02;                // of a path's datagrams lost: its SYNs are copied too
inline constexpr size_t kCopyBurst = 8'000;                 // bytes of copies at once; half is kept for paths just fallen silent
inline constexpr int kMuchSlower = 3;                       // round trips of a quick path, from which on it repairs a slow one early
inline constexpr double kEarlyRepairShare = 0.03;           // early repairs, of the bytes sent
inline constexpr size_t kEarlyRepairBurst = 1'000'000;      // bytes of them saved up: a radio's bad second
inline constexpr size_t kEarlyRepairs = 8;                  // packets at a time: an answer may come meanwhile
inline constexpr Duration kCallLasts = Duration::seconds(1);  // after its last packet a slow path still keeps its datagrams short
inline constexpr Duration kBurst = Duration::millis(1);     // what is committed to a path at once

}  // namespace hawser
