// Private keys as files: base64 on one line, mode 0600, never overwritten.
#pragma once

#include <string>

#include "common/crypto/key.h"
#include "common/result.h"

namespace hawser::client {

// Errors: configuration (missing, readable by others with the chmod line, not a key), permission.
Result<StaticKeyPair> load_key(const std::string& path);
// Makes a key and stores it before it returns. Error conflict when the file exists.
Result<StaticKeyPair> make_key(const std::string& path);
// The key of an existing file, else a new one; `made` tells which.
Result<StaticKeyPair> load_or_make_key(const std::string& path, bool& made);
// A key as text, surrounded by white space or not. `where` is for the message.
Result<StaticKeyPair> parse_key_text(std::string_view text, const std::string& where);

}  // namespace hawser::client
