// Starts processes, and does not wait for them: what a new process goes through before its program runs may take as
// long as the container makes it take.
#pragma once

#include <sys/types.h>

#include <expected>
#include <optional>

#include "base/unique_fd.h"
#include "channel/messages.h"

namespace diatom::agent {

struct Spawned {
  UniqueFd stdin_fd;   // the writing end; none when nothing is to be sent
  UniqueFd stdout_fd;  // the reading end; the terminal's master with a tty
  UniqueFd stderr_fd;  // none with a tty
};

// A child that is on its way to its program.
class Spawning {
 public:
  pid_t pid() const { return pid_; }
  int news() const { return control_.get(); }  // readable when result() may have one
  // Nothing yet, or the program's streams once it has been executed (or has died on the way: its status tells), or the
  // reason why not and docker's exit code for it.
  std::optional<std::expected<Spawned, channel::StartFailure>> result();

 private:
  friend std::expected<Spawning, channel::StartFailure> spawn(const channel::ContainerConfig& container,
                                                              const channel::ProcessConfig& process, pid_t first);
  Spawning() = default;
  pid_t pid_ = -1;
  UniqueFd control_;
  Spawned streams_;
};

// The container's first process, in namespaces of its own; or, where `first` is its pid, another one beside it.
std::expected<Spawning, channel::StartFailure> spawn(const channel::ContainerConfig& container,
                                                     const channel::ProcessConfig& process, pid_t first = -1);

}  // namespace diatom::agent
