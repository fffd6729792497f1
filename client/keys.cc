// Private keys in files.
#include "client/keys.h"

#include "platform/files.h"
#include "platform/rng.h"

namespace hawser::client {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

Result<StaticKeyPair> parse_key_text(std::string_view text, const std::string& where) {
  auto secret = parse_secret_key(trimmed(text));
  if (!secret) {
    return Error{ExitCode::configuration,
                 where + " holds no private key: it should be one line of 44 characters, as `vpn-key new` writes it"};
  }
  return StaticKeyPair::from_secret(std::move(*secret));
}

Result<StaticKeyPair> load_key(const std::string& path) {
  if (!file_exists(path)) {
    return Error{ExitCode::configuration,
                 "there is no private key " + path + ". vpn-join makes it; a copy from a backup will do as well"};
  }
  auto text = read_secret_file(path);
  if (!text) return text.error();
  auto key = parse_key_text(*text, path);
  wipe(*text);
  return key;
}

Result<StaticKeyPair> make_key(const std::string& path) {
  SystemRng rng;
  StaticKeyPair key = StaticKeyPair::generate(rng);
  std::string text = to_base64(key.secret()) + "\n";
  const Status written = create_secret_file(path, text);
  wipe(text);
  if (!written) return written.error();
  return key;
}

Result<StaticKeyPair> load_or_make_key(const std::string& path, bool& made) {
  made = !file_exists(path);
  return made ? make_key(path) : load_key(path);
}

}  // namespace hawser::client
