// Where the server may be: the profile's endpoints with their names resolved, and what the server announced, now or in
// an earlier session.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/config/host_port.h"
#include "platform/log.h"
#include "platform/loop.h"
#include "platform/resolve.h"

namespace hawser::client {

// One address of each source in turn, each once and only where a server can be, `most` at most: no source can crowd the others out.
std::vector<SocketAddress> in_turn(const std::vector<std::vector<SocketAddress>>& sources, size_t most);

class ServerAddresses {
 public:
  using Callback = std::function<void(const std::vector<SocketAddress>&)>;

  // `remembered_file` keeps what the server announced; empty: nothing is kept. `callback` gets the whole list each time it
  // changes, the first time in start(): of the profile's endpoints, then of what was announced, in turn. `interfaces` names
  // those by which resolvers may be asked besides: the machine's own questions may go where no answer comes from, such as into
  // the tunnel while it is dead.
  ServerAddresses(EventLoop& loop, Log& log, std::vector<HostPort> endpoints, std::string remembered_file,
                  std::function<std::vector<std::string>()> interfaces, Callback callback);

  // Literals at once, names as they are resolved.
  void start();
  // Resolves the names again: after a silence, the server may have moved; or there are other interfaces. The interfaces are asked
  // where the system does not answer soon, or has answered before and still nobody is there. Nothing is asked twice at a time.
  void resolve_again();
  // The server's own word about where it can be reached.
  void announced(const std::vector<SocketAddress>& endpoints);

  // What people call the server: the profile's endpoints as written, and why a name is not known.
  std::string in_words() const;

 private:
  // A name, and the interface by which it is asked; empty: as the system asks.
  using Question = std::pair<HostPort, std::string>;

  void ask(const Question& question);
  void ask_by_interfaces();
  void resolved(const Question& question, const Result<std::vector<IpAddress>>& addresses);
  bool knows(const HostPort& name) const;
  void publish();
  void load_remembered();

  EventLoop& loop_;
  Log& log_;
  std::vector<HostPort> endpoints_;
  std::string remembered_file_;
  std::function<std::vector<std::string>()> interfaces_;
  Callback callback_;
  std::map<Question, std::vector<SocketAddress>> known_;  // the last answers
  std::map<HostPort, std::string> failures_;              // the system's
  std::map<Question, std::unique_ptr<Resolution>> running_;
  std::set<Question> waiting_;  // those that have not answered yet
  Time first_asked_, last_asked_;
  EventLoop::Timer interfaces_timer_;
  std::vector<SocketAddress> announced_;
  std::vector<SocketAddress> published_;
};

}  // namespace hawser::client
