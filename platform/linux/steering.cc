// The rules of common/steering.h as programs for the kernel: classic BPF for the sockets that share a port, extended BPF for
// the queues of a TUN. Where the kernel refuses one, whoever got what is not his hands it on.
#include "common/steering.h"

#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "platform/fd.h"
#include "platform/tun.h"
#include "platform/udp.h"

namespace hawser {
namespace {

constexpr sock_filter classic(uint16_t code, uint32_t k, uint8_t yes = 0, uint8_t no = 0) { return {code, yes, no, k}; }

constexpr bpf_insn extended(uint8_t code, uint8_t to, uint8_t from, int16_t jump, int32_t value) {
  bpf_insn i{};
  i.code = code;
  i.dst_reg = to & 15;
  i.src_reg = from & 15;
  i.off = jump;
  i.imm = value;
  return i;
}

// An extended program's descriptor. The calls of libbpf are not worth a library: this is the only one we make.
UniqueFd load(std::span<const bpf_insn> program) {
  static constexpr char kLicense[] = "Dual MIT/GPL";
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insns = reinterpret_cast<uint64_t>(program.data());
  attributes.insn_cnt = static_cast<uint32_t>(program.size());
  attributes.license = reinterpret_cast<uint64_t>(&kLicense);
  return UniqueFd(static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes)));
}

}  // namespace

// The program sees the UDP payload, big-endian, and returns the place of a socket in the order in which they were bound. A
// load beyond the end returns 0.
bool UdpSocket::steer(const Steering& s) {
  const std::array program{
      classic(BPF_LD | BPF_B | BPF_ABS, 0),
      classic(BPF_JMP | BPF_JEQ | BPF_K, Steering::kDataType, 0, 2),
      classic(BPF_LD | BPF_W | BPF_ABS, Steering::kIndexOffset),
      classic(BPF_JMP | BPF_JA, 2),
      classic(BPF_JMP | BPF_JEQ | BPF_K, Steering::kInitiationType, 0, 3),
      classic(BPF_LD | BPF_W | BPF_ABS, Steering::kEphemeralOffset),
      classic(BPF_ALU | BPF_MOD | BPF_K, s.workers),
      classic(BPF_RET | BPF_A, 0),
      classic(BPF_RET | BPF_K, 0),
  };
  const sock_fprog handle{static_cast<unsigned short>(program.size()), const_cast<sock_filter*>(program.data())};
  return ::setsockopt(fd_.get(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &handle, sizeof handle) == 0;
}

// The program sees the IP packet, big-endian, and returns a queue's number.
bool TunDevice::steer(const Steering& s) {
  if (!multi_queue_) return false;
  constexpr uint8_t r0 = 0, r1 = 1, r6 = 6;
  const std::array program{
      extended(BPF_ALU64 | BPF_MOV | BPF_X, r6, r1, 0, 0),
      extended(BPF_LD | BPF_ABS | BPF_B, 0, 0, 0, 0),
      extended(BPF_ALU | BPF_RSH | BPF_K, r0, 0, 0, 4),
      extended(BPF_JMP | BPF_JEQ | BPF_K, r0, 0, 3, 6),
      extended(BPF_LD | BPF_ABS | BPF_W, 0, 0, 0, Steering::kDestinationV4),
      extended(BPF_ALU | BPF_AND | BPF_K, r0, 0, 0, static_cast<int32_t>(s.host_mask_v4)),
      extended(BPF_JMP | BPF_JA, 0, 0, 2, 0),
      extended(BPF_LD | BPF_ABS | BPF_W, 0, 0, 0, Steering::kDestinationV6End),
      extended(BPF_ALU | BPF_AND | BPF_K, r0, 0, 0, static_cast<int32_t>(s.host_mask_v6)),
      extended(BPF_ALU | BPF_MOD | BPF_K, r0, 0, 0, static_cast<int32_t>(s.workers)),
      extended(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
  };
  const UniqueFd loaded = load(program);
  if (!loaded) return false;
  int fd = loaded.get();
  steered_ = ::ioctl(fd_.get(), TUNSETSTEERINGEBPF, &fd) == 0;
  return steered_;
}

}  // namespace hawser
