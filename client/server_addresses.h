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
  // profile's first, each time it changes; the first time in start(). `interfaces` names those by which resolvers may be
  // asked besides: the machine's own questions may go where no answer comes from, such as into the tunnel while it is dead.
  ServerAddresses(EventLoop& loop, Log& log, std::vector<HostPort> endpoints, std::string remembered_file,
                  std::function<std::vector<std::string>()> interfaces, Callback callback);

  // Literals at once, names as they are resolved.
  void start();
  // Resolves the names again: after a silence, the server may have moved. Does nothing while the last time runs.
  void resolve_again();
  // The server's own word about where it can be reached.
  void announced(const std::vector<SocketAddress>& endpoints);

  // What people call the server: the profile's endpoints as written, and why a name is not known.
  std::string in_words() const;

 private:
  // Whom a name was asked.
  enum class Source : uint8_t { system, interfaces };
  using Question = std::pair<HostPort, Source>;

  void ask(const HostPort& name, Source source);
  void resolved(const Question& question, const Result<std::vector<IpAddress>>& addresses);
  void publish();
  void load_remembered();

  EventLoop& loop_;
  Log& log_;
  std::vector<HostPort> endpoints_;
  std::string remembered_file_;
  std::function<std::vector<std::string>()> interfaces_;
  Callback callback_;
  std::map<Question, std::vector<SocketAddress>> known_;  // the last answers
  std::map<HostPort, std::string> failures_;
  std::map<Question, std::unique_ptr<Resolution>> running_;
  std::set<Question> waiting_;  // those that have not answered yet
  std::vector<SocketAddress> announced_;
  std::vector<SocketAddress> published_;
};

}  // namespace hawser::client
