// The facade: containers. (Images: diatom/images.h.)
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diatom/error.h"
#include "diatom/spec.h"

namespace diatom {

// A container as it is now. Times are nanoseconds since 1970 UTC, 0 = not yet.
struct ContainerInfo {
  std::string id;  // 64 hex digits
  std::string name;
  std::string state;  // contract.md: created starting running paused stopping exited failed removing
  std::string image_id;
  std::string image;  // as it was asked for
  std::vector<std::string> command;
  int64_t created_ns = 0;
  int64_t started_ns = 0;
  int64_t finished_ns = 0;
  int exit_code = 0;
  int signal = 0;
  bool oom_killed = false;
  std::string error;
  std::string engine;       // "qemu"
  std::string accelerator;  // "kvm", "hvf", "tcg" (emulation)
  std::string kernel;
  std::string spec_json;  // everything that was decided, for inspect
};

// How far a start has come, for traces: "image", "upper", "vmm", "agent", "started", "exited", with the time since the
// call began.
using StageHandler = std::function<void(std::string_view stage, std::chrono::microseconds since_start)>;

struct RunResult {
  std::string id;
  int exit_code = 0;  // the program's; 128 + n when signal n ended it; 125, 126, 127 as in docker when it never ran
  int signal = 0;
  bool oom_killed = false;
  std::string engine;
  std::string accelerator;
  std::vector<std::string> warnings;
  std::string output_error;  // some of its output could not be written, and why; a reader that went away is no error
};

struct RunOptions {
  // The program's streams; borrowed for the call. With spec.tty, stdin_fd is put into raw mode (and back) when it is a
  // terminal, and stdout_fd carries everything.
  int stdin_fd = 0;
  int stdout_fd = 1;
  int stderr_fd = 2;
  // Pass this process's signals on to the program: all but those that stop or kill it, tell of its own mistakes
  // (SIGSEGV, …), its children (SIGCHLD) or its pipes (SIGPIPE). SIGINT, SIGTERM and SIGHUP give up a start that is
  // under way; others come too early then, and are lost. The caller must have no other thread that takes them.
  bool forward_signals = true;
  std::chrono::milliseconds start_timeout = std::chrono::minutes(2);
  StageHandler on_stage;
  std::function<void(std::string_view)> on_warning;
  std::function<void(const std::string& id)> on_created;  // the container exists from here on
};

class Runtime {
 public:
  // Opens the store at $DIATOM_HOME (contract.md, "Data on disk") and puts right what a crash left behind.
  static Result<Runtime> open();
  Runtime(Runtime&&) noexcept;
  Runtime& operator=(Runtime&&) noexcept;
  ~Runtime();

  // Creates a container, starts it, carries its streams, and returns when it has ended. Blocks; one thread. An Error
  // whose cause lies before the program (no image, no engine, the VM failed) leaves no container behind when
  // spec.auto_remove, and else one in state failed. A program that is absent or cannot be executed is an Error with
  // code start_failed.
  Result<RunResult> run(const ContainerSpec& spec, const RunOptions& options);

  // All containers, or those that have a VM; newest first. A dead monitor is noticed from its lock.
  Result<std::vector<ContainerInfo>> containers(bool all);
  // By id, unique prefix of one, or name.
  Result<ContainerInfo> container(std::string_view reference);
  // A running one is refused unless `force`. Returns the id.
  Result<std::string> remove_container(std::string_view reference, bool force);

 private:
  struct Impl;
  explicit Runtime(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// docker's exit code for an error of run(): 127 no such program, 126 it cannot be executed, 130 interrupted, else 125.
int run_exit_code(const Error& error);

// What `doctor` tells: can this host run containers, by which engine, and what is missing.
struct DoctorCheck {
  std::string name;  // "host", "engine qemu", "kernel", "mke2fs", "store"
  bool ok = false;
  bool required = true;
  std::string detail;  // what was found, or why not
  std::string hint;    // what to do
};
struct DoctorReport {
  std::vector<DoctorCheck> checks;
  std::string engine;  // that would be chosen; empty when none can
  std::string accelerator;
  bool usable = false;
};
DoctorReport doctor();

}  // namespace diatom
