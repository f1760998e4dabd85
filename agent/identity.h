// What tells one VM from another that was restored from the same template: its clock and its randomness.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/error.h"

namespace diatom::agent {

int64_t monotonic_ns();

// For a VM that others are restored from: opens what the next one needs.
void prepare_identity();
// Before any process of the container's: sets the clock, where the host says what it lacks (else 0), and has the
// kernel's random numbers begin anew from the host's entropy (unless it is empty), so that nothing that a clone draws
// is drawn by another. Errors: the kernel refuses; the container must not run then.
Result<> take_identity(int64_t clock_offset_ns, std::string_view entropy);

// For a container that runs, whose first process that is: in its namespaces the host gets another name, in /etc too,
// and /proc shows another boot id, as the kernel has drawn its own before it was copied.
Result<> rename_host(pid_t first, const std::string& from, const std::string& to);
Result<> change_boot_id(pid_t first);

}  // namespace diatom::agent
