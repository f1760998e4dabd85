// The files of disks that nobody has written to yet.
#pragma once

#include <functional>

#include "vm/machine_spec.h"

namespace diatom::vm {

// Its file is not there: it is as Disk::format would make it.
bool is_new(const Disk& disk);

using MakeDisk = std::function<Result<>(const Disk& disk, const std::filesystem::path& to)>;
Result<> format_disk(const Disk& disk, const std::filesystem::path& to);
// For each of those: whole, or not at all.
Result<> make_new_disks(const MachineSpec& spec, const MakeDisk& make = format_disk);

}  // namespace diatom::vm
