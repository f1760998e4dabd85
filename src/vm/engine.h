// The seam between diatom and its VM engines: small, total, and it asks before it promises.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/child.h"
#include "base/error.h"
#include "base/unique_fd.h"
#include "vm/machine_spec.h"

namespace diatom::vm {

struct Availability {
  bool usable = false;
  std::string reason;       // why not, and what to do; empty when usable
  std::string version;      // of the engine, when known
  std::string accelerator;  // "kvm", "hvf", "tcg"
  unsigned max_vcpus = 1;   // of use to one VM
  std::string note;         // what a person should know though it is usable (no hardware virtualisation, …)
};

// The guest channel's end on the host.
struct Channel {
  UniqueFd fd;           // a stream, where what is written waits for the agent
  bool listens = false;  // not yet: the agent will connect to it, once
};

// Where a VM is saved to, and how.
struct SaveTarget {
  std::filesystem::path folder;  // empty by then
  // It goes on with the memory that was saved as its own, so that it shares with its copies what none of them has
  // written since: where that can be done. The file stays on the disk until all of them have gone.
  bool share_memory = false;
};

// A VM that runs. Its process is killed and reaped by the destructor. Lives on one thread.
class Machine {
 public:
  virtual ~Machine() = default;
  virtual pid_t pid() const = 0;        // of the VMM on this host
  virtual int exit_event() const = 0;   // borrowed; readable once the VMM has ended
  virtual Channel take_channel() = 0;   // once
  virtual UniqueFd take_console() = 0;  // what the guest's kernel prints, once; must be read or dropped
  // Of a VM that is being restored from one that had booted before: readable when go_on() has something to do. -1: it
  // runs, or boots. Borrowed, and closed by go_on() when that is done.
  virtual int restore_event() const = 0;
  // True: the VM runs. Errors, and its process has gone: start_failed where it could not be restored, and a boot
  // without templates may do better; already_exists as reap(); guest where somebody has killed it.
  virtual Result<bool> go_on() = 0;
  virtual bool restored() const = 0;  // it runs, and has its template's clock and randomness
  // Readable when the VMM tells what nobody has asked for: listen() throws it away, so that it need not be kept.
  // Borrowed; -1: it never does. False: it has nothing more to say.
  virtual int talk_event() const { return -1; }
  virtual bool listen() { return false; }
  // What writes the VM as it is to a folder: its memory, its devices, its writable disks (by their serials).
  // It stands still meanwhile, and goes on whatever comes of that. It blocks, and is for another thread; until it
  // returns nobody may listen(), but anybody may kill(), which ends it. Errors: unsupported.
  virtual Result<std::function<Result<>(const SaveTarget& target)>> saving() const;
  virtual void kill() = 0;  // at once, without asking the guest
  // Reaps the VMM: call when exit_event() is readable or after kill(). The text is what the VMM itself had to say; an
  // error where that is known to mean one: already_exists for a published port that somebody has taken by now.
  virtual Result<std::string> reap() = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string_view name() const = 0;
  virtual Availability probe() const = 0;  // usable here and now, or the reason why not; starts no VM
  // For people: it may start a program, as nothing that every start does may.
  virtual Result<std::string> ask_version() const = 0;
  // What its guests boot. It may keep files below `cache`.
  virtual Result<GuestKernel> find_kernel(const std::filesystem::path& cache) const = 0;
  // What makes boot() of such a VM faster when it has been done once (MachineSpec::templates); empty: nothing, or it
  // has been done. It takes as long as a boot, blocks, may be called from any thread, and refers to nothing. That it
  // fails matters to nobody else: boot() works without.
  virtual std::function<Result<>(const CancelToken&)> preparation(const MachineSpec& spec) const = 0;
  // Returns when the VMM process runs; the guest boots meanwhile, or is restored (Machine::restore_event). Errors:
  // engine_unavailable, start_failed, unsupported for what the spec wants and this engine has not.
  virtual Result<std::unique_ptr<Machine>> boot(const MachineSpec& spec) = 0;
};

// Every engine that this build knows, best first.
std::vector<std::unique_ptr<Engine>> all_engines();

// What a preparation has left below MachineSpec::templates, or the reason why it could not.
struct TemplateRecord {
  std::string name;
  unsigned vcpus = 0;
  uint64_t memory_bytes = 0;
  bool network = false;
  uint64_t upper_bytes = 0;  // of the writable layer's disk; 0: without one
  std::string kernel;        // its version
  std::string accelerator;
  std::string image;  // whose root is mounted there, by GuestPreparation::name; empty: one for all
  int64_t created_ns = 0;
  int64_t used_ns = 0;  // for the last time
  uint64_t disk_bytes = 0;
  bool whole = false;    // it can be started from
  std::string failure;   // why it could not be made, or was not taken
  int64_t retry_ns = 0;  // when that is tried again
};
Result<std::vector<TemplateRecord>> list_templates(const std::filesystem::path& templates);
// VMs that were started from it go on. Errors: not_found; already_exists while it is being made. Returns the bytes that
// were freed.
Result<uint64_t> remove_template(const std::filesystem::path& templates, const std::string& name);
// All but those that are being made.
Result<uint64_t> prune_templates(const std::filesystem::path& templates);
// What could not be made is tried again at once.
Result<> forget_template_failures(const std::filesystem::path& templates);

// What Machine::saving() has left in a folder, and MachineSpec::saved starts from. A VM has to be as that one was.
struct SavedMachine {
  std::string engine;
  unsigned vcpus = 0;
  uint64_t memory_bytes = 0;
};
inline constexpr const char* saved_machine_files[] = {"memory", "state", "machine.json"};
Result<SavedMachine> read_saved_machine(const std::filesystem::path& folder);

// The first usable engine, or the one called `wanted`, or $DIATOM_ENGINE where that is empty. Failure tells everything
// that was tried.
struct Selected {
  Engine* engine = nullptr;
  Availability availability;
};
Result<Selected> select_engine(std::span<const std::unique_ptr<Engine>> engines, std::string_view wanted);

// The kernel that QEMU's guests boot: from $DIATOM_GUEST, else share/diatom/guest beside the program's bin/;
// libkrunfw's (wrapped for QEMU below `cache`) where it is installed and there is no other, or DIATOM_KERNEL=libkrunfw
// asks for it.
Result<GuestKernel> find_guest_kernel(const std::filesystem::path& cache);

}  // namespace diatom::vm
