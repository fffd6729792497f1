// The server's place in the network: the TUN with the server's inner addresses, forwarding, the firewall table. All that
// it changes is in the undo log first, and undone by close() or, after a kill -9, by the next start.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/config/server_settings.h"
#include "platform/log.h"
#include "platform/tun.h"
#include "platform/undo.h"
#include "server/options.h"

namespace hawser::server {

class Network {
 public:
  // Opens the TUN, with a queue for each worker where the kernel lets us steer, sets its MTU (constant for the life of the
  // server) and addresses, turns forwarding on in this network namespace and says so, makes the firewall table. On an error
  // everything is undone again.
  // Errors: permission (not root), system_integration (no TUN, nft), conflict (the interface's name is taken).
  static Result<Network> open(const CommonOptions& common, const ServerSettings& settings, const Steering& steering, uint32_t mtu, Log& log);
  Network(Network&&) = default;
  Network& operator=(Network&&) = default;

  TunDevice& tun(uint32_t worker) { return worker == 0 ? tun_ : queues_[worker - 1]; }
  const TunDevice& tun() const { return tun_; }
  const std::string& name() const { return tun_.name(); }
  // The server's inner addresses that the TUN carries; a family that the kernel refuses is unset (and was warned about).
  const IpAddress& address_v4() const { return v4_; }
  const IpAddress& address_v6() const { return v6_; }

  // Replaces the firewall table after a reload; the old one stays in force when that fails.
  Status set_firewall(const ServerSettings& settings);
  // Undoes everything but the TUN, which goes with the object.
  Status close();

 private:
  Network(TunDevice tun, std::unique_ptr<UndoLog> undo) : tun_(std::move(tun)), undo_(std::move(undo)) {}
  void track_leniently(const ServerSettings& settings, Log& log);
  Status add_addresses(const ServerSettings& settings, Log& log);
  NftTable firewall_table(const ServerSettings& settings) const;

  Status open_queues(const ServerSettings& settings, const Steering& steering);

  TunDevice tun_;
  std::vector<TunDevice> queues_;  // of the workers after the first
  std::unique_ptr<UndoLog> undo_;
  IpAddress v4_, v6_;
};

}  // namespace hawser::server
