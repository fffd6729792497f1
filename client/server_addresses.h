// Where the server may be: the profile's endpoints with their names resolved, and what the server announced, now or in
// an earlier session.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/config/host_port.h"
#include "platform/log.h"
#include "platform/loop.h"
#include "platform/resolve.h"

namespace hawser::client {

class ServerAddresses {
 public:
  using Callback = std::function<void(const std::vector<SocketAddress>&)>;

  // `remembered_file` keeps what the server announced; empty: nothing is kept. `callback` gets the whole list, the
  // profile's first, each time it changes; the first time in start().
  ServerAddresses(EventLoop& loop, Log& log, std::vector<HostPort> endpoints, std::string remembered_file,
                  Callback callback);

  // Literals at once, names as they are resolved.
  void start();
  // Resolves the names again: after a silence, the server may have moved. Does nothing while the last time runs.
  void resolve_again();
  // The server's own word about where it can be reached.
  void announced(const std::vector<SocketAddress>& endpoints);

  // What people call the server: the profile's endpoints as written, and why a name is not known.
  std::string in_words() const;

 private:
  void resolved(const HostPort& name, const Result<std::vector<IpAddress>>& addresses);
  void publish();
  void load_remembered();

  EventLoop& loop_;
  Log& log_;
  std::vector<HostPort> endpoints_;
  std::string remembered_file_;
  Callback callback_;
  std::map<HostPort, std::vector<SocketAddress>> known_;  // names only
  std::map<HostPort, std::string> failures_;
  std::map<HostPort, std::unique_ptr<Resolution>> running_;
  std::set<HostPort> waiting_;  // those that have not answered yet
  std::vector<SocketAddress> announced_;
  std::vector<SocketAddress> published_;
};

}  // namespace hawser::client
