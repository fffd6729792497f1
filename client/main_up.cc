// vpn-up: brings a profile up; with --foreground it is the daemon.
#include "client/up_command.h"

int main(int argc, char** argv) {
  return hawser::client::run_program("vpn-up", hawser::client::parse_up(argc, argv), hawser::client::run_up);
}
