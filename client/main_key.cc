// vpn-key: makes keys and prints public ones.
#include "client/key_command.h"

int main(int argc, char** argv) {
  return hawser::client::run_program("vpn-key", hawser::client::parse_key(argc, argv), hawser::client::run_key);
}
