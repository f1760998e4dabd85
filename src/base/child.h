#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

namespace diatom {

struct ExitStatus {
  int code = 0;    // exit code; 128 + signal when a signal ended it
  int signal = 0;  // 0 = exited by itself
};

struct ChildOptions {
  std::vector<std::string> argv;         // argv[0] is looked up in PATH unless it has a slash
  std::vector<std::string> environment;  // "K=V"; the child gets nothing else
  bool inherit_environment = true;       // the parent's environment instead of `environment`
  std::vector<std::pair<int, int>> fds;  // (ours, number in the child); 0, 1, 2 default to /dev/null
  bool die_with_parent = true;           // the kernel kills the child when the thread that spawned it ends
  bool new_process_group = false;        // out of reach of the terminal's Ctrl-C
};

// Owns a child process: it is killed and reaped by the destructor unless it has been waited for. The exit is an
// event on a descriptor that, unlike a pid, can never come to name another process. Not for use by two threads.
class Child {
 public:
  // Fails with not_found when there is no such program; the error names argv[0].
  static Result<Child> spawn(const ChildOptions& options);

  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), exit_event_(std::move(other.exit_event_)) {}
  Child& operator=(Child&& other) noexcept;
  ~Child();

  pid_t pid() const { return pid_; }
  int pollable() const { return exit_event_.get(); }  // readable once the child has exited
  void kill(int signal) const;
  // Empty when the deadline passed first.
  Result<std::optional<ExitStatus>> wait_for(std::chrono::milliseconds deadline);
  Result<ExitStatus> wait();

 private:
  Child(pid_t pid, UniqueFd exit_event) : pid_(pid), exit_event_(std::move(exit_event)) {}
  pid_t pid_;  // -1 once reaped
  UniqueFd exit_event_;
};

// Starts a program that nobody owns: it lives on in a session of its own when this process ends, as a child of init or
// of the nearest subreaper. Of the options, die_with_parent and new_process_group say nothing. Returns once it has been
// executed.
Result<> spawn_detached(const ChildOptions& options);

// Runs a program to its end and collects what it writes. Fails when it cannot be started or takes longer than
// `deadline`; a non-zero exit is a success of this function. At most 1 MiB of output is kept.
struct CommandOutput {
  ExitStatus status;
  std::string output;  // stdout and stderr as they came
};
Result<CommandOutput> run_command(std::vector<std::string> argv, std::chrono::milliseconds deadline);

// The first executable of that name in PATH, then in /usr/sbin and /sbin (where an ordinary user's PATH does not
// look but mke2fs lives).
std::optional<std::string> find_program(std::string_view name);

}  // namespace diatom
