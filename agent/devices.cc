// The kernel asks a BPF program of the cgroup about every open and mknod of a device (bpf(2), BPF_CGROUP_DEVICE). Ours
// is a dozen comparisons.
#include "devices.h"

#include <optional>

#include "bpf.h"

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

using Program = BpfProgram;

Program device_program() {
  constexpr auto access_type = Program::r2;
  constexpr auto major_number = Program::r3;
  constexpr auto minor_number = Program::r4;
  constexpr auto access = Program::r5;
  Program program;
  program.load(BPF_W, access_type, Program::r1, offsetof(bpf_cgroup_dev_ctx, access_type));
  program.load(BPF_W, major_number, Program::r1, offsetof(bpf_cgroup_dev_ctx, major));
  program.load(BPF_W, minor_number, Program::r1, offsetof(bpf_cgroup_dev_ctx, minor));
  program.move(access, access_type);
  program.alu(BPF_RSH, access, 16);
  program.alu(BPF_AND, access_type, 0xffff);
  program.jump_if(BPF_JEQ, access, BPF_DEVCG_ACC_MKNOD, Program::Label::allow);
  // A block device gets as far as here, and no further.
  program.jump_if(BPF_JNE, access_type, BPF_DEVCG_DEV_CHAR, Program::Label::deny);
  for (const Device& device : usable) {
    if (device.minor) program.jump_if(BPF_JNE, major_number, device.major, Program::Label::next);
    if (device.minor) program.jump_if(BPF_JEQ, minor_number, *device.minor, Program::Label::allow);
    if (!device.minor) program.jump_if(BPF_JEQ, major_number, device.major, Program::Label::allow);
    program.place(Program::Label::next);
  }
  program.place(Program::Label::deny);
  program.leave(0);
  program.place(Program::Label::allow);
  program.leave(1);
  return program;
}

}  // namespace

Result<> restrict_devices(int cgroup_fd) {
  return device_program().attach(BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE, cgroup_fd);
}

}  // namespace diatom::agent
