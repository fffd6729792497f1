// hawser-flood: UDP packets of one size at a rate, with little processor time of its own (batches of about a
// millisecond), and the counting of those that arrive.
//
//   hawser-flood send ADDRESS PORT SIZE RATE SECONDS      packets per second; prints how many it sent
//   hawser-flood receive PORT SECONDS                     until nothing came for 0.3 s; prints how many came
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <vector>

namespace {

constexpr size_t kBatch = 64;

[[noreturn]] void die(const char* what) {
  perror(what);
  exit(1);
}

double seconds_now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

int send_packets(char** argv) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(atoi(argv[3])));
  if (inet_pton(AF_INET, argv[2], &to.sin_addr) != 1) die(argv[2]);
  const auto size = static_cast<size_t>(atoi(argv[4]));
  const double rate = atof(argv[5]), seconds = atof(argv[6]);
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) die("connect");
  std::vector<char> packet(size);
  iovec vector{packet.data(), packet.size()};
  std::array<mmsghdr, kBatch> messages{};
  for (mmsghdr& m : messages) {
    m.msg_hdr.msg_iov = &vector;
    m.msg_hdr.msg_iovlen = 1;
  }
  const double begin = seconds_now();
  uint64_t sent = 0;
  for (double at = 0; at < seconds; at = seconds_now() - begin) {
    const auto due = static_cast<uint64_t>(at * rate);
    while (sent < due) {
      const auto n = sendmmsg(fd, messages.data(), static_cast<unsigned>(std::min<uint64_t>(kBatch, due - sent)), 0);
      if (n < 0) die("sendmmsg");
      sent += static_cast<uint64_t>(n);
      // A machine that is too slow for the rate is told by the count, not by a flood afterwards.
      if (seconds_now() - begin > seconds) break;
    }
    timespec nap{0, 500'000};
    nanosleep(&nap, nullptr);
  }
  printf("%llu\n", static_cast<unsigned long long>(sent));
  return 0;
}

int receive_packets(char** argv) {
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_port = htons(static_cast<uint16_t>(atoi(argv[2])));
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  const int buffer_size = 16 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_size, sizeof buffer_size);
  const timeval patience{0, 300'000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (bind(fd, reinterpret_cast<sockaddr*>(&local), sizeof local) != 0) die("bind");
  std::vector<char> memory(kBatch * 2048);
  std::array<iovec, kBatch> vectors{};
  std::array<mmsghdr, kBatch> messages{};
  for (size_t i = 0; i < kBatch; ++i) {
    vectors[i] = {memory.data() + i * 2048, 2048};
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const double end = seconds_now() + atof(argv[3]);
  uint64_t received = 0;
  while (seconds_now() < end) {
    const int n = recvmmsg(fd, messages.data(), kBatch, MSG_WAITFORONE, nullptr);
    if (n > 0) received += static_cast<uint64_t>(n);
    if (n <= 0 && received > 0) break;
  }
  printf("%llu\n", static_cast<unsigned long long>(received));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 7 && strcmp(argv[1], "send") == 0) return send_packets(argv);
  if (argc == 4 && strcmp(argv[1], "receive") == 0) return receive_packets(argv);
  fprintf(stderr, "hawser-flood send ADDRESS PORT SIZE RATE SECONDS | receive PORT SECONDS\n");
  return 2;
}
