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

// A VM that runs. Its process is killed and reaped by the destructor. Lives on one thread.
class Machine {
 public:
  virtual ~Machine() = default;
  virtual pid_t pid() const = 0;        // of the VMM on this host
  virtual int exit_event() const = 0;   // borrowed; readable once the VMM has ended
  virtual Channel take_channel() = 0;   // once
  virtual UniqueFd take_console() = 0;  // what the guest's kernel prints, once; must be read or dropped
  virtual bool restored() const = 0;    // from a VM that had booted before, with its clock and its randomness
  virtual void kill() = 0;              // at once, without asking the guest
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
  // What makes boot() of such a VM faster when it has been done once (MachineSpec::templates); empty: nothing, or it has
  // been done. It takes as long as a boot, blocks, may be called from any thread, and refers to nothing. That it fails
  // matters to nobody else: boot() works without.
  virtual std::function<Result<>(const CancelToken&)> preparation(const MachineSpec& spec) const = 0;
  // Returns when the VMM process runs; the guest boots meanwhile. Where it is restored it runs already: that takes some
  // 50 ms. Errors: engine_unavailable, start_failed, unsupported
  // for what the spec wants and this engine has not.
  virtual Result<std::unique_ptr<Machine>> boot(const MachineSpec& spec) = 0;
};

// Every engine that this build knows, best first.
std::vector<std::unique_ptr<Engine>> all_engines();

// Removes what preparations have left below MachineSpec::templates, but for what is being used just now. Returns the bytes that
// were freed.
Result<uint64_t> prune_templates(const std::filesystem::path& templates);

// The first usable engine, or the one called `wanted`, or $DIATOM_ENGINE where that is empty. Failure tells everything that was tried.
struct Selected {
  Engine* engine = nullptr;
  Availability availability;
};
Result<Selected> select_engine(std::span<const std::unique_ptr<Engine>> engines, std::string_view wanted);

// The kernel that QEMU's guests boot: from $DIATOM_GUEST, else share/diatom/guest beside the program's bin/; libkrunfw's
// (wrapped for QEMU below `cache`) where it is installed and there is no other, or DIATOM_KERNEL=libkrunfw asks for it.
Result<GuestKernel> find_guest_kernel(const std::filesystem::path& cache);

}  // namespace diatom::vm
