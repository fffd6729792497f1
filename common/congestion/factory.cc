// Which number on the wire is which controller.
#include "common/congestion/coupled.h"
#include "common/congestion/cubic.h"
#include "common/congestion/model.h"
#include "common/congestion/reno.h"
#include "common/congestion/wvegas.h"

namespace hawser {

std::unique_ptr<Controller> make_controller(wire::CongestionKind kind, uint16_t datagram_size, uint64_t seed) {
  switch (kind) {
    case wire::CongestionKind::automatic:
      return std::make_unique<ModelController>(datagram_size, seed);
    case wire::CongestionKind::lia:
      return std::make_unique<LiaController>(datagram_size);
    case wire::CongestionKind::olia:
      return std::make_unique<OliaController>(datagram_size);
    case wire::CongestionKind::balia:
      return std::make_unique<BaliaController>(datagram_size);
    case wire::CongestionKind::wvegas:
      return std::make_unique<WvegasController>(datagram_size);
    case wire::CongestionKind::cubic:
      return std::make_unique<CubicController>(datagram_size);
    case wire::CongestionKind::reno:
      return std::make_unique<RenoController>(datagram_size);
  }
  return std::make_unique<ModelController>(datagram_size, seed);
}

}  // namespace hawser
