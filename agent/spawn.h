// Starts processes, and does not wait for them (but for one that is made beforehand): what a new process goes through
// before its program runs may take as long as the container makes it take.
#pragma once

#include <sys/types.h>

#include <expected>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "channel/messages.h"
#include "program.h"

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
  friend class WaitingProcess;
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

// A first process that was made before anybody knew of which program, for a VM that others are restored from: it is in
// its namespaces, and waits. It is killed and reaped with this, unless it went on.
class WaitingProcess {
 public:
  // Returns when it waits.
  static Result<std::unique_ptr<WaitingProcess>> make(const channel::Preparation& preparation);
  WaitingProcess(const WaitingProcess&) = delete;
  WaitingProcess& operator=(const WaitingProcess&) = delete;
  WaitingProcess(WaitingProcess&&) = delete;
  WaitingProcess& operator=(WaitingProcess&&) = delete;
  ~WaitingProcess();

  pid_t pid() const { return pid_; }
  void ended() { pid_ = -1; }  // and was reaped
  // It has made nothing that this one would have otherwise.
  bool fits(const channel::ContainerConfig& container) const;
  // As long as somebody has these open, the program's end is not held up by theirs: they end with a container's VM.
  std::vector<UniqueFd> take_namespaces() { return std::move(namespaces_); }
  // Once. The two as they came from the host, and decoded.
  std::expected<Spawning, channel::StartFailure> go_on(std::string_view container_text, std::string_view process_text,
                                                       const channel::ProcessConfig& process);

 private:
  WaitingProcess(const channel::ContainerConfig& container, Pipes pipes)
      : container_(container), pipes_(std::move(pipes)) {}

  channel::ContainerConfig container_;
  pid_t pid_ = -1;
  UniqueFd control_;
  UniqueFd orders_;
  Pipes pipes_;
  std::vector<UniqueFd> namespaces_;
};

}  // namespace diatom::agent
