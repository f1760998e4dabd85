#include "vm/qemu/template_maker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/platform/platform.h"
#include "vm/disks.h"
#include "vm/qemu/qemu_process.h"
#include "vm/qemu/qmp.h"
#include "vm/qemu/template_files.h"
#include "vm/vmdk.h"

namespace diatom::vm {

namespace {

using namespace std::chrono_literals;

constexpr auto deadline = 60s;  // for all that the VM has to do
constexpr auto end_deadline = 10s;

bool has(const Json& data, const char* name, const Json& value) {
  auto found = data.find(name);
  return found != data.end() && *found == value;
}

Result<bool> agent_has_come(const Json& data) {
  return has(data, "id", qemu_channel_device) && has(data, "open", true);
}

// In, or out.
Result<bool> has_migrated(const Json& data) {
  if (has(data, "status", "failed")) return fail(Errc::start_failed, "migrate VM: QEMU has failed to");
  return has(data, "status", "completed");
}

// A VM that is there to be saved. Its process ends with this.
class Vm {
 public:
  static Result<std::unique_ptr<Vm>> start(const fs::path& folder, std::vector<std::string> argv,
                                           const std::vector<std::pair<int, int>>& fds, const CancelToken& cancel) {
    QemuProcess process = TRY(start_qemu(std::move(argv), folder / "vmm.log", fds));
    return std::unique_ptr<Vm>(new Vm(folder, std::move(process), cancel));
  }

  Result<> boot() {
    TRY(begin());
    return qmp_.await_event("VSERPORT_CHANGE", agent_has_come);
  }

  Result<> go_on_from_state() {
    TRY(begin());
    TRY(qmp_.send("migrate-incoming", {{"uri", fmt::format("fd:{}", qemu_state_fd)}}));
    return qmp_.await_event("MIGRATION", has_migrated);
  }

  // Ours stays open: the guest is told when nobody is at the other end any more.
  Result<UniqueFd> channel() const {
    UniqueFd copy(::fcntl(channel_.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) return fail_errno("speak to the agent");
    return copy;
  }

  Result<> save(const UniqueFd& state) {
    TRY(qmp_.give("state", state.get()));
    TRY(qmp_.send("migrate", {{"uri", "fd:state"}}));
    return qmp_.await_event("MIGRATION", has_migrated);
  }

  // QEMU migrates none that has a disk of several files. (Not "live": its disks stay its own.)
  Result<> save(const fs::path& state) {
    TRY(qmp_.ask("stop", Json::object()));
    TRY(qmp_.ask("xen-save-devices-state", {{"filename", state.string()}, {"live", false}}));
    return {};
  }

  Result<> end() {
    // What the agent has said would be missing from whatever is restored.
    pollfd said{channel_.get(), POLLIN, 0};
    if (::poll(&said, 1, 0) != 0) return fail(Errc::start_failed, "save VM: its agent did not wait to be spoken to");
    TRY(qmp_.send("quit", Json::object()));
    if (!TRY(child_.wait_for(end_deadline))) return fail(Errc::timeout, "save VM: QEMU does not end");
    ::unlink((folder_ / "vmm.log").c_str());
    return {};
  }

  // With QEMU's last words.
  std::unexpected<Error> failed(const Error& why) {
    child_.kill(SIGKILL);
    [[maybe_unused]] auto ended = child_.wait();
    std::string words = read_file(folder_ / "vmm.log", 64 << 10).value_or("");
    while (!words.empty() && words.back() == '\n') words.pop_back();
    return fail(why.code, "make template: " + why.message + (words.empty() ? "" : ": " + words));
  }

 private:
  Result<> begin() {
    TRY(qmp_.send("qmp_capabilities", Json::object()));
    return qmp_.send("migrate-set-capabilities", qemu_template_capabilities());
  }

  Vm(const fs::path& folder, QemuProcess process, const CancelToken& cancel)
      : folder_(folder),
        child_(std::move(process.child)),
        channel_(std::move(process.channel)),
        console_(std::move(process.console)),
        qmp_(std::move(process.monitor), QmpClient::Clock::now() + deadline, &cancel) {}

  fs::path folder_;
  Child child_;
  UniqueFd channel_;
  UniqueFd console_;
  QmpClient qmp_;
};

}  // namespace

Result<> save_booted_vm(const fs::path& folder, const QemuTarget& target, const MachineSpec& spec,
                        const CancelToken& cancel) {
  UniqueFd memory = TRY(open_file(template_memory(folder), O_RDWR | O_CREAT | O_EXCL));
  UniqueFd state = TRY(open_file(template_state(folder), O_RDWR | O_CREAT | O_EXCL));
  auto vm = TRY(Vm::start(folder, qemu_command_line(target, spec, QemuTemplate::saved),
                          {{memory.get(), qemu_memory_fd}}, cancel));
  auto saved = [&]() -> Result<> {
    TRY(vm->boot());
    TRY(vm->save(state));
    return vm->end();
  }();
  return saved ? saved : vm->failed(saved.error());
}

Result<> save_prepared_vm(const fs::path& folder, const fs::path& base, const QemuTarget& target,
                          const MachineSpec& spec, const CancelToken& cancel) {
  auto files = open_template(base);
  if (!files) return fail(Errc::start_failed, "make template: " + base.string() + " is not there to go on from");
  TRY(platform::clone_file(path_of(files->memory), template_memory(folder)));
  TRY(make_new_disks(spec));
  TRY(write_vmdk_descriptors(spec));
  UniqueFd memory = TRY(open_file(template_memory(folder), O_RDWR));
  static_cast<void>(TRY(open_file(template_state(folder), O_RDWR | O_CREAT | O_EXCL)));  // nobody else's
  auto vm = TRY(Vm::start(folder, qemu_command_line(target, spec, QemuTemplate::prepared),
                          {{memory.get(), qemu_memory_fd}, {files->state.get(), qemu_state_fd}}, cancel));
  auto saved = [&]() -> Result<> {
    TRY(vm->go_on_from_state());
    UniqueFd channel = TRY(vm->channel());
    TRY(spec.preparation->run(std::move(channel), cancel));
    TRY(vm->save(template_state(folder)));
    return vm->end();
  }();
  for (const Disk& disk : spec.disks) ::unlink(vmdk_path(spec, disk).c_str());
  return saved ? saved : vm->failed(saved.error());
}

}  // namespace diatom::vm
