#pragma once

#include <string>

#include "base/error.h"
#include "base/unique_fd.h"
#include "store/paths.h"

namespace diatom {

// Starts the monitor of a container, which starts the container (docs/architecture.md). It is nobody's child, and lives
// on when this process ends. Returns a connection to it: what is asked over it comes before the program runs. Errors
// say how to get a monitor's program where there is none. `program`: its file; empty: $DIATOM_MONITOR, else what is
// installed.
Result<UniqueFd> launch_monitor(const store::Paths& paths, const std::filesystem::path& program, const std::string& id);

}  // namespace diatom
