// Disks for an engine that has none: files behind virtio-fs, one behind the other, through loop devices and, where they
// are several, device-mapper's linear target. (Linux Documentation/admin-guide/device-mapper/linear.rst)
#pragma once

#include <string>

#include "base/error.h"

namespace diatom::agent {

// The device of the files "SERIAL.0", "SERIAL.1", … of the share "diatom.disks". It lasts as long as the guest.
Result<std::string> attach_disk_files(const std::string& serial, bool writable);

}  // namespace diatom::agent
