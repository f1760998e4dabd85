#pragma once

#include <sys/types.h>

namespace diatom::agent {

// What `docker run --init` runs as the container's first process: passes signals on to `program`, a child, reaps
// whatever ends, and ends as the program does: with its code, or 128 + the signal that ended it.
[[noreturn]] void run_init(pid_t program);

// Before the program is forked: signals wait from here on, so that none is lost.
void block_signals();

// In the program: it gets the terminal, where there is one, in a process group of its own.
void leave_init();

}  // namespace diatom::agent
