// vpn-join: enrols this device and writes its profile.
#include "client/join.h"

int main(int argc, char** argv) {
  return hawser::client::run_program("vpn-join", hawser::client::parse_join(argc, argv), hawser::client::run_join);
}
