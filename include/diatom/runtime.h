// The facade: containers. (Images: diatom/images.h. Events: diatom/events.h.)
//
// No daemon is needed: each container that runs has a monitor process of its own, which outlives this one. Several
// processes may use one store at once. A Runtime is not for use by two threads, but for cancel().
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diatom/container.h"
#include "diatom/error.h"
#include "diatom/export.h"
#include "diatom/files.h"
#include "diatom/locations.h"
#include "diatom/snapshot.h"
#include "diatom/spec.h"

namespace diatom {

// How far a start has come, for traces: "image", "upper", "vmm", "agent", "started", "exited", with the time since the
// call began.
using StageHandler = std::function<void(std::string_view stage, std::chrono::microseconds since_start)>;

struct CreatedContainer {
  std::string id;
  std::vector<std::string> warnings;
};

// How a program ended.
struct ExitInfo {
  int exit_code = 0;  // the program's; 128 + n when signal n ended it; 125, 126, 127 as in docker when it never ran
  int signal = 0;
  bool oom_killed = false;
  std::string error;  // why there was no end of the program's own
};

// Descriptors that a program's streams are joined to; borrowed for the call. They may be one and the same.
struct ProcessStreams {
  int stdin_fd = 0;
  int stdout_fd = 1;
  int stderr_fd = 2;
  bool attach_stdin = false;  // read stdin_fd, and send it; its end closes the program's stdin
  bool attach_stdout = true;
  bool attach_stderr = true;
  // Pass this process's signals on to the program: all but those that stop or kill it, tell of its own mistakes
  // (SIGSEGV, …), its children (SIGCHLD) or its pipes (SIGPIPE). The caller must have no other thread that takes them.
  // SIGWINCH resizes the program's terminal.
  bool forward_signals = false;
  // Typed keys that leave the program running and end the call (docker's: "ctrl-p,ctrl-q"); empty = none. Only with a
  // terminal.
  std::string detach_keys = "ctrl-p,ctrl-q";
};

struct StartOptions {
  StageHandler on_stage;
};

// What came of an attached run.
struct AttachResult {
  std::optional<ExitInfo> exit;  // empty: left by the detach keys, the program goes on
  std::string output_error;  // some of its output could not be written, and why; a reader that went away is no error
};

struct RunOptions {
  bool detach = false;  // return once the program has been executed; nothing is joined then
  ProcessStreams streams;
  StartOptions start;
  std::function<void(std::string_view)> on_warning;
  std::function<void(const std::string& id)> on_created;  // the container exists from here on
};
struct RunResult {
  std::string id;
  AttachResult end;
  std::string engine;
  std::string accelerator;
  std::vector<std::string> warnings;
};

struct StopOptions {
  std::optional<std::chrono::milliseconds> timeout = {};  // until SIGKILL; the container's own when not given; 0 = at
                                                          // once
  std::string signal = {};                                // instead of the container's
};

enum class WaitCondition { not_running, next_exit, removed };

struct UpdateOptions {
  std::optional<double> cpus;
  std::optional<uint64_t> memory_bytes;
  std::optional<uint64_t> pids_limit;
  std::optional<RestartPolicy> restart;
};

struct ExecSpec {
  std::vector<std::string> argv;
  std::vector<std::string> env = {};  // "K=V", over the container's
  std::string working_dir = {};       // the container's when empty
  std::string user = {};              // the container's when empty
  bool tty = false;
  bool privileged = false;
};

// Which of what a program printed is shown, and how.
struct LogQuery {
  std::optional<uint64_t> tail = {};     // lines; all when not set. Counted before anything is left out, as in docker
  std::optional<int64_t> since_ns = {};  // from then on
  std::optional<int64_t> until_ns = {};  // before then; who follows stops following then
  bool follow = false;                   // until the container ends
  bool timestamps = false;               // before each line: "2026-11-24T12:00:00.123456789Z "
  bool show_stdout = true;
  bool show_stderr = true;
};

// Is handed bytes of a program's stdout or stderr, not lines. False: no more is wanted.
enum class LogStream { stdout_stream = 1, stderr_stream = 2 };
using LogHandler = std::function<bool(LogStream stream, std::string_view bytes)>;

class DIATOM_API Runtime {
 public:
  // Opens the store (contract.md, "Data on disk") and puts right what a crash left behind.
  static Result<Runtime> open(const Locations& locations = {});
  Runtime(Runtime&&) noexcept;
  Runtime& operator=(Runtime&&) noexcept;
  ~Runtime();

  // Makes the container's record; its first start makes its writable layer. Copies nothing of the image. Errors:
  // not_found (the image), already_exists (the name), invalid_argument names the field.
  Result<CreatedContainer> create(const ContainerSpec& spec);
  // Starts the container's monitor and with it its VM. Returns when the program has been executed, or the reason why
  // not: Errc::start_failed with docker's exit code, engine_unavailable, timeout. One that runs is already_exists.
  Result<> start(std::string_view reference, const StartOptions& options);
  // The same, with the program's streams joined to ours from its first byte; returns when it has ended.
  Result<AttachResult> start_attached(std::string_view reference, const StartOptions& options,
                                      const ProcessStreams& streams);
  // Creates a container, starts it attached, and returns when it has ended or was left by the detach keys. An Error
  // whose cause lies before the program leaves no container behind when spec.auto_remove, and else one in state failed.
  // SIGINT, SIGTERM and SIGHUP give up a start that is under way.
  Result<RunResult> run(const ContainerSpec& spec, const RunOptions& options);
  // Joins the streams of a program that runs to ours, from now on.
  Result<AttachResult> attach(std::string_view reference, const ProcessStreams& streams);
  // Runs another program in a container that runs.
  Result<AttachResult> exec(std::string_view reference, const ExecSpec& spec, const ProcessStreams& streams);
  // The same, and returns when it has been executed. Its output is nobody's.
  Result<> exec_detached(std::string_view reference, const ExecSpec& spec);

  // The stop signal, then SIGKILL; then the disk is written out and the VM ends. One that does not run is a success.
  Result<> stop(std::string_view reference, const StopOptions& options);
  // "KILL", "SIGKILL", "9". An unknown signal is invalid_argument before anything happens; a container that does not
  // run, too.
  Result<> kill(std::string_view reference, std::string_view signal);
  Result<> restart(std::string_view reference, const StopOptions& options);
  Result<> pause(std::string_view reference);
  Result<> resume(std::string_view reference);
  Result<> rename(std::string_view reference, const std::string& name);
  // What is not given stays. A limit on CPUs holds at once; memory at once up to what the VM has, else from the next
  // start on. Returns warnings.
  Result<std::vector<std::string>> update(std::string_view reference, const UpdateOptions& options);
  // Any number may wait; nobody polls.
  Result<ExitInfo> wait(std::string_view reference, WaitCondition condition);
  // One that runs is refused unless `force`. Returns the id.
  Result<std::string> remove_container(std::string_view reference, bool force);
  // Removes those that do not run; returns their ids and what that freed.
  struct Pruned {
    std::vector<std::string> ids;
    uint64_t freed_bytes = 0;
  };
  Result<Pruned> prune_containers(const PruneContainers& options);

  // All containers, or those that have a VM; newest first. A dead monitor is noticed from its lock.
  Result<std::vector<ContainerInfo>> containers(bool all);
  // By id, unique prefix of one, or name.
  Result<ContainerInfo> container(std::string_view reference);

  // Writes what the program printed to two descriptors (borrowed).
  Result<> logs(std::string_view reference, const LogQuery& query, int stdout_fd, int stderr_fd);
  Result<> logs(std::string_view reference, const LogQuery& query, const LogHandler& handler);
  Result<ContainerStats> stats(std::string_view reference);
  // Of several at once, in their order: it takes as long as the slowest of them. Who does not answer within `deadline`
  // is a timeout; an outer error is cancelled.
  Result<std::vector<Result<ContainerStats>>> stats(const std::vector<std::string>& references,
                                                    std::chrono::milliseconds deadline);
  Result<std::vector<ProcessInfo>> top(std::string_view reference);

  // The window of its program's terminal; invalid_argument where it has none. (start_attached() and attach() do it by
  // themselves where they are joined to a terminal: ProcessStreams::forward_signals.)
  Result<> resize(std::string_view reference, uint16_t rows, uint16_t columns);

  // Saves a container that runs, with its memory and its writable layer; it stands still for as long as that takes, and
  // goes on. `name`: docker's rule for containers' names; empty: made up. Errors: not_found; invalid_argument where it
  // does not run, or is paused; already_exists for the name; unsupported by its engine.
  Result<SnapshotInfo> create_snapshot(std::string_view reference, const std::string& name);
  Result<std::vector<SnapshotInfo>> snapshots();  // by name
  // Containers that have gone on from it are not touched. Returns the bytes that this freed. Errors: not_found.
  Result<uint64_t> remove_snapshot(std::string_view name);
  // Makes a container of it, with a writable layer, a host name and random numbers of its own, and has it go on from
  // there. `container_name` may be empty. Returns its id. Errors: not_found; start_failed where QEMU, kernel or diatom
  // are others than those that saved it; not_found, too, where its image has gone. Then no container is left behind.
  Result<std::string> restore_snapshot(std::string_view name, const std::string& container_name);
  // Copies of a container that runs, all from one moment, as restore_snapshot() makes them; but its published ports
  // are theirs at free ports of the host. Returns their ids. On an error those that were started (on_started) go on.
  Result<std::vector<std::string>> fork(std::string_view reference, const ForkOptions& options);

  // Files. Paths in a container are absolute, or taken as from its root. Of one that does not run, too: a VM is booted
  // for it meanwhile, without its program; starting it has to wait then, or fails. Its state, its logs and its exit
  // code stay.
  //
  // As docker's cp: a directory goes into one that is there, and becomes one that is not; "/." behind the source means
  // its contents. Nothing outside of the destination is written, whatever the container says. Errors name the path:
  // not_found, invalid_argument. What was copied when it fails is whole, and stays.
  Result<CopyResult> copy_from(std::string_view reference, const std::string& path, const std::string& host_path,
                               const CopyOptions& options);
  Result<CopyResult> copy_to(std::string_view reference, const std::string& host_path, const std::string& path,
                             const CopyOptions& options);
  // The same as a tar, to a descriptor or from it (borrowed; a pipe will do). What comes is unpacked with the owners
  // that it has, into a directory that is there.
  Result<CopyResult> read_archive(std::string_view reference, const std::string& path, int out_fd,
                                  const CopyOptions& options);
  Result<CopyResult> write_archive(std::string_view reference, int in_fd, const std::string& path);
  Result<PathStat> stat_path(std::string_view reference, const std::string& path, bool follow_link);
  // The whole root file system as a tar, without what is mounted over it.
  Result<CopyResult> export_root(std::string_view reference, int out_fd);
  // What differs from the image, in the order of the paths.
  Result<std::vector<FileChange>> diff(std::string_view reference);
  // Makes an image: that of the container, and its changes as a layer above; the config says what the container runs.
  // It is unpaused again whatever happens.
  Result<CommittedImage> commit(std::string_view reference, const CommitOptions& options);
  Result<DiskUsage> disk_usage();
  // What is kept only so that the next create is faster. Returns the bytes that this freed.
  Result<uint64_t> prune_templates();

  // Ends what is in progress with Errc::cancelled. From any thread, and from a signal handler.
  void cancel();

 private:
  struct DIATOM_HIDDEN Impl;
  explicit Runtime(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// docker's exit code for an error of run(): 127 no such program, 126 it cannot be executed, 130 interrupted, else 125.
DIATOM_API int run_exit_code(const Error& error);

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
DIATOM_API DoctorReport doctor(const Locations& locations = {});

// Where things are, and by what containers would be run.
struct SystemInfo {
  std::string home, run;          // $DIATOM_HOME, $DIATOM_RUN
  std::string host_os;            // "linux", "darwin": GOOS
  std::string host_architecture;  // "amd64", "arm64": GOARCH
  std::string host_kernel;        // uname -r
  unsigned host_cpus = 0;
  uint64_t host_memory_bytes = 0;
  std::string engine, engine_version, accelerator;  // the one that would be chosen; empty when there is none
  std::string guest_kernel;                         // its version; empty when there is none
  std::vector<std::string> warnings;                // what is missing, and what makes it slow
};
DIATOM_API Result<SystemInfo> system_info(const Locations& locations = {});

}  // namespace diatom
