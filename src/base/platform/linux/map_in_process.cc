// A system call in another process, by ptrace(2): nothing of its code is changed, as the thread that is stopped waits
// in a system call itself, and goes through its instruction once more.
#include <elf.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include "base/platform/platform.h"

namespace diatom::platform {

#ifdef __x86_64__

namespace {

constexpr long syscall_instruction = 0x050f;
constexpr unsigned long instruction_bytes = 2;
constexpr int syscall_stop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD

// The kernel's own, which programs never see (include/linux/errno.h).
constexpr long restart_sys = -512, restart_no_interrupt = -513, restart_no_handler = -514, restart_block = -516;

class Stopped {
 public:
  explicit Stopped(pid_t pid) : pid_(pid) {}
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;
  Stopped(Stopped&&) = delete;
  Stopped& operator=(Stopped&&) = delete;
  ~Stopped() {
    if (seized_) ::ptrace(PTRACE_DETACH, pid_, nullptr, signal_);
  }

  Result<> stop() {
    if (::ptrace(PTRACE_SEIZE, pid_, nullptr, PTRACE_O_TRACESYSGOOD) < 0) return failed("trace");
    seized_ = true;
    if (::ptrace(PTRACE_INTERRUPT, pid_, nullptr, nullptr) < 0) return failed("stop");
    static_cast<void>(TRY(wait()));
    return {};
  }
  Result<user_regs_struct> registers() const {
    user_regs_struct registers{};
    iovec room{&registers, sizeof registers};
    if (::ptrace(PTRACE_GETREGSET, pid_, NT_PRSTATUS, &room) < 0) return failed("read the registers of");
    return registers;
  }
  Result<> set_registers(user_regs_struct registers) const {
    iovec data{&registers, sizeof registers};
    if (::ptrace(PTRACE_SETREGSET, pid_, NT_PRSTATUS, &data) < 0) return failed("set the registers of");
    return {};
  }
  bool is_behind_syscall(const user_regs_struct& registers) const {
    errno = 0;
    long code = ::ptrace(PTRACE_PEEKTEXT, pid_, registers.rip - instruction_bytes, nullptr);
    return errno == 0 && (code & 0xffff) == syscall_instruction;
  }
  // To the beginning of a system call, or to its end.
  Result<> go_to_syscall() {
    do
      if (::ptrace(PTRACE_SYSCALL, pid_, nullptr, nullptr) < 0) return failed("run");
    while (TRY(wait()) != syscall_stop);
    return {};
  }

 private:
  // The signal that it was stopped by; one that is its own is kept for it.
  Result<int> wait() {
    siginfo_t info{};
    while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | __WALL) < 0)
      if (errno != EINTR) return failed("wait for");
    int signal = info.si_status & 0xff;
    bool is_own = info.si_code == CLD_TRAPPED && info.si_status < 0x80 && signal != SIGTRAP;
    if (is_own) signal_ = signal;
    return signal;
  }
  std::unexpected<Error> failed(const char* what) const {
    return fail_errno(std::string(what) + " process " + std::to_string(pid_));
  }

  pid_t pid_;
  bool seized_ = false;
  long signal_ = 0;
};

// As the kernel would, had there been no call between.
user_regs_struct restarted(user_regs_struct registers) {
  auto result = static_cast<long>(registers.rax);
  if (static_cast<long>(registers.orig_rax) < 0) return registers;
  if (result == restart_sys || result == restart_no_interrupt || result == restart_no_handler)
    registers.rax = registers.orig_rax;
  else if (result == restart_block)
    registers.rax = SYS_restart_syscall;
  else
    return registers;
  registers.rip -= instruction_bytes;
  registers.orig_rax = ~0UL;
  return registers;
}

}  // namespace

Result<bool> map_in_process(pid_t pid, uint64_t address, uint64_t bytes, int fd) {
  Stopped process(pid);
  if (!process.stop()) return false;  // a system that forbids it
  user_regs_struct before = TRY(process.registers());
  if (!process.is_behind_syscall(before)) return false;
  user_regs_struct call = before;
  call.rax = SYS_mmap;
  call.rdi = address;
  call.rsi = bytes;
  call.rdx = PROT_READ | PROT_WRITE;
  call.r10 = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;
  call.r8 = static_cast<unsigned long>(fd);
  call.r9 = 0;
  call.rip -= instruction_bytes;
  call.orig_rax = ~0UL;  // it does not go on with the call that it waited in
  TRY(process.set_registers(call));
  TRY(process.go_to_syscall());
  TRY(process.go_to_syscall());
  user_regs_struct after = TRY(process.registers());
  TRY(process.set_registers(restarted(before)));
  return after.rax == address;
}

#else

Result<bool> map_in_process(pid_t, uint64_t, uint64_t, int) { return false; }

#endif

}  // namespace diatom::platform
