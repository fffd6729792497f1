// One request, one reply; each is answered at once, for nothing asked here takes long.
#include "server/control.h"

namespace hawser::server {

Result<std::unique_ptr<Control>> Control::open(EventLoop& loop, const std::string& path, Handlers handlers) {
  std::unique_ptr<Control> control(new Control(std::move(handlers)));
  Control* self = control.get();
  auto server = ControlServer::create(loop, path, [self](auto client, const ControlPeer& peer, std::string_view line) {
    std::string reply = self->answer(peer, line);
    if (!reply.empty() && reply.back() == '\n') reply.pop_back();  // send() adds it
    self->server_->send(client, reply);
  });
  if (!server) return server.error();
  control->server_ = std::move(*server);
  return control;
}

std::string Control::answer(const ControlPeer& peer, std::string_view line) {
  const auto request = parse_request(line);
  if (!request) return render_error(request.error());
  if (changes_state(*request) && !peer.may_change) {
    return render_error({ExitCode::permission, "only root and members of the group hawser may change the server; try sudo"});
  }
  if (std::holds_alternative<StatusRequest>(*request)) return render_status_reply(render_json(handlers_.status()));
  if (std::holds_alternative<ReloadRequest>(*request)) {
    const Status done = handlers_.reload();
    return done ? render_ok() : render_error(done.error());
  }
  if (const auto* changed = std::get_if<UsersChangedRequest>(&*request)) {
    handlers_.users_changed(changed->user);
    return render_ok();
  }
  return render_error({ExitCode::usage, "a server does not do that by its socket; stop it with: systemctl stop hawser-server"});
}

}  // namespace hawser::server
