// Requests of vpn-status, vpn-down and vpn-up --set, judged by who asks.
#include "client/control_server.h"

#include "client/daemon.h"
#include "common/control/messages.h"

namespace hawser::client {

Result<std::unique_ptr<ControlSocket>> ControlSocket::create(EventLoop& loop, const std::string& path, Daemon& daemon) {
  std::unique_ptr<ControlSocket> socket(new ControlSocket(daemon));
  ControlSocket* self = socket.get();
  auto server = ControlServer::create(
      loop, path, [self](ControlServer::ClientId client, const ControlPeer& peer, std::string_view line) {
        std::string reply = self->answer(peer, line);
        // The message brings its line feed, and the socket adds one.
        while (!reply.empty() && reply.back() == '\n') reply.pop_back();
        self->server_->send(client, reply);
      });
  if (!server) return server.error();
  socket->server_ = std::move(*server);
  return socket;
}

std::string ControlSocket::answer(const ControlPeer& peer, std::string_view line) {
  const auto request = parse_request(line);
  if (!request) return render_error(request.error());
  if (changes_state(*request) && !peer.may_change) {
    return render_error({ExitCode::permission, "only root and members of the group hawser may do that"});
  }
  if (std::holds_alternative<StatusRequest>(*request)) return render_status_reply(render_json(daemon_.report()));
  if (std::holds_alternative<DownRequest>(*request)) {
    daemon_.end(Done{});
    return render_ok();
  }
  if (const auto* set = std::get_if<SetRequest>(&*request)) {
    const Status done = daemon_.set(set->key, set->value);
    return done ? render_ok() : render_error(done.error());
  }
  return render_error({ExitCode::usage, "that request is for a server"});
}

}  // namespace hawser::client
