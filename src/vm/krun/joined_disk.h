#pragma once

#include "base/error.h"
#include "vm/machine_spec.h"

namespace diatom::vm {

// imago 0.2.1, which libkrun reads disks with, finds a VMDK's extents by a search that loses the first byte of one
// whenever it has looked at the one before it: what begins there reads as zeros. With two extents it never does; more
// are copied into one file in the VM's directory, and the disk is that. (get_extent_at() in its src/vmdk/mod.rs.)
inline constexpr size_t most_krun_extents = 2;

std::filesystem::path joined_path(const MachineSpec& spec, const Disk& disk);
// Copies what has to be, and names it in the spec that is returned. It takes the time and the room of the copies.
Result<MachineSpec> join_disks(MachineSpec spec);

}  // namespace diatom::vm
