// Disks for a libkrun that is built without them: their files, in a folder that virtio-fs shares with the guest, whose
// agent makes block devices of them.
#pragma once

#include <filesystem>

#include "base/error.h"
#include "vm/krun/vmm_config.h"
#include "vm/machine_spec.h"

namespace diatom::vm {

inline constexpr const char* disk_files_tag = "diatom.disks";

// Of the VM's own folder. It is there while such a VM runs.
std::filesystem::path files_directory(const MachineSpec& spec);
// Puts "root.0", "root.1", "upper.0" there: links, so nothing is copied. Errors: those of the file system; unsupported
// when a file is on another one.
Result<> link_disk_files(const VmmConfig& config);

}  // namespace diatom::vm
