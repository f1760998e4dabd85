// What tells one VM from another that was restored from the same template: its clock and its randomness.
#pragma once

#include "base/error.h"
#include "channel/messages.h"

namespace diatom::agent {

int64_t monotonic_ns();

// Before any process of the container's: sets the clock, where the host says what it lacks, and has the kernel's random
// numbers begin anew from the host's entropy, so that nothing that a clone draws is drawn by another. Errors: the
// kernel refuses; the container must not run then.
Result<> take_identity(const channel::ContainerConfig& config);

}  // namespace diatom::agent
