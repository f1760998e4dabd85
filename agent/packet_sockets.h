#pragma once

#include "base/error.h"

namespace diatom::agent {

// From here on this process, and whatever comes of it, makes no socket that sends packets past the kernel's IP, where
// the rules about what the container may reach (network.h) are kept: EPERM. docker's default capabilities (net_raw)
// would allow it. io_uring, which could make one without a system call, is refused as docker refuses it.
Result<> forbid_packet_sockets();
// Whether this kernel has what that takes.
bool can_forbid_packet_sockets();

}  // namespace diatom::agent
