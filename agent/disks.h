#pragma once

#include <string>
#include <string_view>

#include "arguments.h"
#include "base/error.h"

namespace diatom::agent {

// For an engine whose disks have no serials of ours, or that has no disks. Once, before any is looked for.
void describe_disks(const Arguments& arguments);

// Notes which disk has which serial, and forgets what was read of them: in a VM that is restored there is something
// else on them.
Result<> find_disks();

// "/dev/vda" of the disk with that serial. Once for each: a device may have to be made.
Result<std::string> find_disk(std::string_view serial, bool writable);

}  // namespace diatom::agent
