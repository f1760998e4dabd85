#pragma once

#include <sys/types.h>

#include "channel/reports.h"

namespace diatom::agent {

// What the container uses, of its cgroup and the guest's /proc.
channel::Stats measure();

// The processes of the container whose first process is `first`. The names of users are those of its passwd(5).
channel::ProcessList list_processes(pid_t first);

}  // namespace diatom::agent
