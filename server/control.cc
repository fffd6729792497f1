// One request, one reply.
#include "server/control.h"

namespace hawser::server {

Result<std::unique_ptr<Control>> Control::open(EventLoop& loop, const std::string& path, Handlers handlers) {
  std::unique_ptr<Control> control(new Control(std::move(handlers)));
  Control* self = control.get();
  auto server = ControlServer::create(
      loop, path, [self](auto client, const ControlPeer& peer, std::string_view line) { self->answer(client, peer, line); });
  if (!server) return server.error();
  control->server_ = std::move(*server);
  return control;
}

void Control::reply(ControlServer::ClientId client, std::string text) {
  if (!text.empty() && text.back() == '\n') text.pop_back();  // send() adds it
  server_->send(client, text);
}

void Control::answer(ControlServer::ClientId client, const ControlPeer& peer, std::string_view line) {
  const auto request = parse_request(line);
  if (!request) return reply(client, render_error(request.error()));
  if (changes_state(*request) && !peer.may_change) {
    return reply(client, render_error({ExitCode::permission, "only root and members of the group hawser may change the server; try sudo"}));
  }
  if (std::holds_alternative<StatusRequest>(*request)) {
    return handlers_.status([this, client](const ServerStatusReport& r) { reply(client, render_status_reply(render_json(r))); });
  }
  if (std::holds_alternative<ReloadRequest>(*request)) {
    const Status done = handlers_.reload();
    return reply(client, done ? render_ok() : render_error(done.error()));
  }
  if (const auto* changed = std::get_if<UsersChangedRequest>(&*request)) {
    handlers_.users_changed(changed->user);
    return reply(client, render_ok());
  }
  reply(client, render_error({ExitCode::usage, "a server does not do that by its socket; stop it with: systemctl stop hawser-server"}));
}

}  // namespace hawser::server
