// vpn-status: shows what a profile is doing.
#include "client/status_command.h"

int main(int argc, char** argv) {
  return hawser::client::run_program("vpn-status", hawser::client::parse_status_command(argc, argv),
                                     hawser::client::run_status);
}
