#pragma once

#include <string>
#include <string_view>

#include "arguments.h"
#include "base/error.h"

namespace diatom::agent {

// For an engine whose disks have no serials of ours, or that has no disks. Once, before any is looked for.
void describe_disks(const Arguments& arguments);

// Takes the driver away from all disks but the agent's own. A VM that is saved then knows nothing of their sizes, nor
// of what is on them.
Result<> leave_disks();
// Gives them back; nothing where they were not left.
Result<> take_disks();

// "/dev/vda" of the disk with that serial. Once for each: a device may have to be made.
Result<std::string> find_disk(std::string_view serial, bool writable);

}  // namespace diatom::agent
