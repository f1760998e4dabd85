#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "vm/machine_spec.h"

namespace diatom::vm {

// Descriptors that the QEMU process inherits, by the number that they have there.
inline constexpr int qemu_channel_fd = 3;
inline constexpr int qemu_console_fd = 4;
inline constexpr int qemu_lock_fd = 5;     // only held
inline constexpr int qemu_monitor_fd = 6;  // QEMU's own
inline constexpr int qemu_state_fd = 7;    // the devices' state, of one that is restored
inline constexpr int qemu_memory_fd = 8;   // the file that is its memory, of that and of a template
// What QMP calls the guest channel.
inline constexpr const char* qemu_channel_device = "agent";

struct QemuTarget {
  std::string program;      // path of qemu-system-…
  std::string arch;         // "amd64", "arm64": the guest's and the host's
  std::string accelerator;  // "kvm", "hvf", "tcg"
  uint64_t tsc_khz = 0;     // of this host's time stamp counter; 0 = the guest finds out
};

// A VM whose memory is a file: a template, booted to be saved, with null devices for disks; or one that is restored
// from it, with a private mapping of that file and disks of its own. It waits for QMP's migrate-incoming, and runs
// then. `prepared`: one that is restored with disks of its own, and is to be saved in its turn. `copied`: restored from
// what xen-save-devices-state has saved of a VM that ran.
enum class QemuTemplate { saved, prepared, restored, copied };
// QMP's migrate-set-capabilities for both: the state is without the memory.
Json qemu_template_capabilities();

// What a VM with that much is given: whole MiB.
inline constexpr uint64_t qemu_memory_bytes(uint64_t wanted) { return wanted >> 20 << 20; }

// With the sizes that the guest's disks have, whether it boots or is restored: a driver asks once, and a template's has
// asked before there was an image. So those that are read-only, images, are all of one size, with zeros at the end.
MachineSpec with_disk_sizes(MachineSpec spec);

// The argument vector that boots `spec`. Pure: golden-tested without a VM. A disk of several extents is opened through
// its VMDK descriptor (vm/vmdk.h).
std::vector<std::string> qemu_command_line(const QemuTarget& target, const MachineSpec& spec,
                                           std::optional<QemuTemplate> use = std::nullopt);

// The one that QEMU could not set up, by the last words of its process.
std::optional<PortForward> refused_forward(const MachineSpec& spec, std::string_view words);

}  // namespace diatom::vm
