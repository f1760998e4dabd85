#pragma once

#include <sys/types.h>

#include <expected>

#include "base/unique_fd.h"
#include "channel/messages.h"

namespace diatom::agent {

struct Spawned {
  pid_t pid = -1;
  UniqueFd stdin_fd;   // the writing end; none when nothing is to be sent
  UniqueFd stdout_fd;  // the reading end; the terminal's master with a tty
  UniqueFd stderr_fd;  // none with a tty
};

// Starts the container's first process in namespaces of its own, and returns when the program has been executed, or
// with the reason why not and docker's exit code for it.
std::expected<Spawned, channel::StartFailure> spawn_first_process(const channel::ContainerConfig& container,
                                                                  const channel::ProcessConfig& process);

}  // namespace diatom::agent
