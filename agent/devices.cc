// The kernel asks a BPF program of the cgroup about every open and mknod of a device (bpf(2), BPF_CGROUP_DEVICE). Ours
// is a dozen comparisons, written down as the instructions that they are: no compiler, no library.
#include "devices.h"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "base/unique_fd.h"

namespace diatom::agent {

namespace {

// docker's default rules (runc's AllowedDevices): these may be read and written.
struct Device {
  int major;
  std::optional<int> minor;  // any when empty
};
constexpr Device usable[] = {{1, 3},                // null
                             {1, 5},                // zero
                             {1, 7},                // full
                             {1, 8},                // random
                             {1, 9},                // urandom
                             {5, 0},                // tty
                             {5, 2},                // ptmx
                             {136, std::nullopt}};  // pts/*

// Registers: the kernel gives the context in r1 and takes the verdict from r0.
enum Register : uint8_t { verdict = 0, context = 1, access_type = 2, major_number = 3, minor_number = 4, access = 5 };

bpf_insn instruction(int code, Register destination, int offset, int immediate) {
  bpf_insn made{};
  made.code = static_cast<uint8_t>(code);
  made.dst_reg = static_cast<uint8_t>(destination & 0xf);
  made.off = static_cast<int16_t>(offset);
  made.imm = immediate;
  return made;
}
bpf_insn load(Register destination, size_t field) {
  bpf_insn made = instruction(BPF_LDX | BPF_MEM | BPF_W, destination, static_cast<int>(field), 0);
  made.src_reg = context;
  return made;
}
bpf_insn copy(Register destination, Register source) {
  bpf_insn made = instruction(BPF_ALU | BPF_MOV | BPF_X, destination, 0, 0);
  made.src_reg = static_cast<uint8_t>(source & 0xf);
  return made;
}
bpf_insn set(Register destination, int value) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_K, destination, 0, value);
}
bpf_insn shift_right(Register destination, int bits) {
  return instruction(BPF_ALU | BPF_RSH | BPF_K, destination, 0, bits);
}
bpf_insn mask(Register destination, int bits) { return instruction(BPF_ALU | BPF_AND | BPF_K, destination, 0, bits); }
bpf_insn skip_unless(Register value, int equals, int count) {
  return instruction(BPF_JMP | BPF_JNE | BPF_K, value, count, equals);
}
bpf_insn leave() { return instruction(BPF_JMP | BPF_EXIT, verdict, 0, 0); }

void append_allow_if(std::vector<bpf_insn>& program, Register value, int equals) {
  program.push_back(skip_unless(value, equals, 2));
  program.push_back(set(verdict, 1));
  program.push_back(leave());
}

std::vector<bpf_insn> device_program() {
  std::vector<bpf_insn> program = {
      load(access_type, offsetof(bpf_cgroup_dev_ctx, access_type)),
      load(major_number, offsetof(bpf_cgroup_dev_ctx, major)),
      load(minor_number, offsetof(bpf_cgroup_dev_ctx, minor)),
      copy(access, access_type),
      shift_right(access, 16),
      mask(access_type, 0xffff),
  };
  append_allow_if(program, access, BPF_DEVCG_ACC_MKNOD);
  // A block device gets as far as here, and no further.
  program.push_back(instruction(BPF_JMP | BPF_JEQ | BPF_K, access_type, 2, BPF_DEVCG_DEV_CHAR));
  program.push_back(set(verdict, 0));
  program.push_back(leave());
  for (const Device& device : usable) {
    if (device.minor) {
      program.push_back(skip_unless(major_number, device.major, 3));
      append_allow_if(program, minor_number, *device.minor);
    } else {
      append_allow_if(program, major_number, device.major);
    }
  }
  program.push_back(set(verdict, 0));
  program.push_back(leave());
  return program;
}

int bpf(bpf_cmd command, bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

}  // namespace

Result<> restrict_devices(int cgroup_fd) {
  std::vector<bpf_insn> program = device_program();
  bpf_attr loading{};
  loading.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  loading.insns = reinterpret_cast<uint64_t>(program.data());
  loading.insn_cnt = static_cast<uint32_t>(program.size());
  loading.license = reinterpret_cast<uint64_t>("Apache-2.0");
  UniqueFd loaded(bpf(BPF_PROG_LOAD, loading));
  if (!loaded) return fail_errno("load device rules");
  bpf_attr attaching{};
  attaching.target_fd = static_cast<uint32_t>(cgroup_fd);
  attaching.attach_bpf_fd = static_cast<uint32_t>(loaded.get());
  attaching.attach_type = BPF_CGROUP_DEVICE;
  if (bpf(BPF_PROG_ATTACH, attaching) < 0) return fail_errno("attach device rules");
  return {};
}

}  // namespace diatom::agent
