#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"

namespace diatom::agent {

// For an engine whose disks have no serials of ours: the device of each, "vda", by the serial that it should have.
void name_disks(std::map<std::string, std::string> devices);

// "/dev/vda" of the virtio disk with that serial.
Result<std::string> find_disk(std::string_view serial);

}  // namespace diatom::agent
