#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vm/machine_spec.h"

namespace diatom::vm {

// Descriptors that the QEMU process inherits, by the number that they have there.
inline constexpr int qemu_channel_fd = 3;
inline constexpr int qemu_console_fd = 4;
inline constexpr int qemu_lock_fd = 5;  // only held

struct QemuTarget {
  std::string program;      // path of qemu-system-…
  std::string arch;         // "amd64", "arm64": the guest's and the host's
  std::string accelerator;  // "kvm", "hvf", "tcg"
  uint64_t tsc_khz = 0;     // of this host's time stamp counter; 0 = the guest finds out
};

// The argument vector that boots `spec`. Pure: golden-tested without a VM. A disk of several extents is opened through
// its VMDK descriptor (vm/vmdk.h).
std::vector<std::string> qemu_command_line(const QemuTarget& target, const MachineSpec& spec);

// The one that QEMU could not set up, by the last words of its process.
std::optional<PortForward> refused_forward(const MachineSpec& spec, std::string_view words);

}  // namespace diatom::vm
