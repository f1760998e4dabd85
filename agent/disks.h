#pragma once

#include <string>
#include <string_view>

#include "arguments.h"
#include "base/error.h"

namespace diatom::agent {

// For an engine whose disks have no serials of ours. Once, before any is looked for.
void name_disks(DiskNames names);

// "/dev/vda" of the virtio disk with that serial.
Result<std::string> find_disk(std::string_view serial);

}  // namespace diatom::agent
