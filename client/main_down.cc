// vpn-down: takes a profile down.
#include "client/down_command.h"

int main(int argc, char** argv) {
  return hawser::client::run_program("vpn-down", hawser::client::parse_down(argc, argv), hawser::client::run_down);
}
