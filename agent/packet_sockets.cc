#include "packet_sockets.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iterator>

namespace diatom::agent {

namespace {

#if defined(__x86_64__)
constexpr uint32_t native = AUDIT_ARCH_X86_64;
constexpr uint32_t foreign_socket = 359;  // i386
#else
constexpr uint32_t native = AUDIT_ARCH_AARCH64;
constexpr uint32_t foreign_socket = 281;  // arm
#endif
constexpr uint32_t foreign_socketcall = 102;  // its arguments lie in memory, where no filter can look
constexpr uint32_t io_uring_setup = 425;      // the same number everywhere
constexpr uint32_t x32_bit = 0x40000000;

// The labels are the places of instructions; a jump counts from the next one.
enum Place : uint8_t { foreign_calls = 7, old_call = 12, socket_call = 15, deny = 22 };
constexpr uint8_t from(uint8_t here, uint8_t to) { return static_cast<uint8_t>(to - here - 1); }

constexpr sock_filter load(size_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
constexpr sock_filter mask(uint32_t bits) { return BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits); }
constexpr sock_filter give(uint32_t verdict) { return BPF_STMT(BPF_RET | BPF_K, verdict); }
constexpr sock_filter jump_if(uint32_t value, uint8_t here, uint8_t to) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, from(here, to), 0);
}
constexpr sock_filter jump_unless(uint32_t value, uint8_t here, uint8_t to) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, from(here, to));
}

constexpr size_t number = offsetof(seccomp_data, nr);
constexpr size_t first_argument = offsetof(seccomp_data, args);  // its low half: both architectures are little-endian
constexpr size_t second_argument = first_argument + sizeof(uint64_t);

// What only looks at the number is remembered by the kernel: such calls cost nothing more.
constexpr sock_filter filter[] = {
    /* 0 */ load(offsetof(seccomp_data, arch)),
    jump_unless(native, 1, foreign_calls),
    load(number),
    mask(~x32_bit),
    jump_if(io_uring_setup, 4, deny),
    jump_if(SYS_socket, 5, socket_call),
    give(SECCOMP_RET_ALLOW),
    /* foreign_calls */ load(number),
    jump_if(io_uring_setup, 8, deny),
    jump_if(foreign_socketcall, 9, old_call),
    jump_if(foreign_socket, 10, socket_call),
    give(SECCOMP_RET_ALLOW),
    /* old_call */ load(first_argument),
    jump_if(1, 13, deny),  // SYS_SOCKET
    give(SECCOMP_RET_ALLOW),
    /* socket_call */ load(first_argument),
    jump_if(AF_PACKET, 16, deny),
    jump_if(AF_XDP, 17, deny),
    load(second_argument),
    mask(0xf),
    jump_if(SOCK_PACKET, 20, deny),  // AF_PACKET by another name
    give(SECCOMP_RET_ALLOW),
    /* deny */ give(SECCOMP_RET_ERRNO | EPERM),
};
static_assert(std::size(filter) == deny + 1);

}  // namespace

Result<> forbid_packet_sockets() {
  sock_fprog program{std::size(filter), const_cast<sock_filter*>(filter)};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) return fail_errno("forbid packet sockets");
  return {};
}

bool can_forbid_packet_sockets() {
  // A null filter is bad (EFAULT) where there are filters at all.
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, nullptr) < 0 && errno == EFAULT;
}

}  // namespace diatom::agent
