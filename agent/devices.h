#pragma once

#include "base/error.h"

namespace diatom::agent {

// Processes of the cgroup may make any device node, as docker lets them, but use only the harmless ones: the disks
// below the container's root are block devices of its own kernel. Errors: the kernel has no BPF for cgroups.
Result<> restrict_devices(int cgroup_fd);

}  // namespace diatom::agent
