// vpn-key new and vpn-key pub.
#include "client/key_command.h"

#include "client/keys.h"
#include "common/crypto/secret.h"
#include "platform/process.h"
#include "platform/rng.h"

namespace hawser::client {
namespace {

Status new_key(const KeyOptions& options) {
  if (!options.file.empty()) {
    auto key = make_key(options.file);
    if (!key) return key.error();
    if (!options.common.quiet)
      print_err("wrote " + options.file + "; its public key is " + key->public_key().to_base64() + "\n");
    return Done{};
  }
  SystemRng rng;
  std::string text = to_base64(StaticKeyPair::generate(rng).secret()) + "\n";
  print_out(text);
  wipe(text);
  return Done{};
}

Status public_key(const KeyOptions& options) {
  auto key = [&]() -> Result<StaticKeyPair> {
    if (!options.file.empty()) return load_key(options.file);
    auto text = read_secret_line("private key: ");
    if (!text) return text.error();
    auto parsed = parse_key_text(*text, "stdin");
    wipe(*text);
    return parsed;
  }();
  if (!key) return key.error();
  print_out(key->public_key().to_base64() + "\n");
  return Done{};
}

}  // namespace

Status run_key(const KeyOptions& options) {
  if (!init()) return Error{ExitCode::unexpected, "libsodium does not start"};
  return options.action == KeyOptions::Action::make_new ? new_key(options) : public_key(options);
}

}  // namespace hawser::client
