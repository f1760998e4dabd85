// A disk that is several files, one behind the other: a VMDK text descriptor with flat extents, the one format that
// joins files in both QEMU and libkrun. (Virtual Disk Format 5.0, "The Descriptor File".)
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"
#include "vm/machine_spec.h"

namespace diatom::vm {

// It needs a descriptor.
bool is_joined(const Disk& disk);
// Of its extents together.
uint64_t extent_bytes(const Disk& disk);
// Where the descriptor of a joined disk lies.
std::filesystem::path vmdk_path(const MachineSpec& spec, const Disk& disk);
std::string vmdk_descriptor(const Disk& disk);
// For every disk that needs one. Errors: invalid_argument for a path that a descriptor cannot hold.
Result<> write_vmdk_descriptors(const MachineSpec& spec);

}  // namespace diatom::vm
