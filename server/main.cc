// vpn-server: parses the command line and hands over.
#include <cstdio>

#include "common/crypto/secret.h"
#include "server/daemon.h"
#include "server/init.h"
#include "server/options.h"
#include "server/users.h"

namespace hawser::server {
namespace {

template <class... F>
struct Overload : F... {
  using F::operator()...;
};
template <class... F>
Overload(F...) -> Overload<F...>;

int fail(const Error& error) {
  std::fprintf(stderr, "vpn-server: %s\n", error.message.c_str());
  return static_cast<int>(error.code);
}

Status dispatch(const Options& o) {
  return std::visit(Overload{[&](const InitCommand& c) { return run_init(o.common, c); },
                             [&](const RunCommand&) { return run_server(o.common); },
                             [&](const ReloadCommand&) { return run_reload(o.common); },
                             [&](const StatusCommand& c) { return run_status(o.common, c); },
                             [&](const InviteCommand& c) { return run_invite(o.common, c); },
                             [&](const UserCommand& c) { return run_user(o.common, c); }},
                    o.command);
}

}  // namespace
}  // namespace hawser::server

int main(int argc, char** argv) {
  using namespace hawser;
  using namespace hawser::server;
  auto parsed = parse_command_line(argc, argv);
  if (!parsed) return fail(parsed.error());
  if (const auto* print = std::get_if<PrintAndExit>(&*parsed)) {
    std::fputs(print->text.c_str(), stdout);
    return 0;
  }
  if (!init()) return fail({ExitCode::unexpected, "libsodium cannot be used on this machine"});
  const Status done = dispatch(std::get<Options>(*parsed));
  return done ? 0 : fail(done.error());
}
