#include "vm/qemu/qemu_engine.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <ranges>

#include "base/file.h"
#include "base/platform/platform.h"
#include "base/tsc.h"
#include "vm/qemu/command_line.h"
#include "vm/qemu/qemu_process.h"
#include "vm/qemu/qmp.h"
#include "vm/qemu/saved_machine.h"
#include "vm/qemu/template.h"
#include "vm/vmdk.h"

namespace diatom::vm {

namespace {

using namespace std::chrono_literals;

// For QEMU to end in, whose state did not suit it.
constexpr auto last_moment = 200ms;

fs::path log_path(const MachineSpec& spec) { return spec.directory / "vmm.log"; }

// On the way from files: all has been said to QEMU, and what is left is to hear that the VM runs.
struct Restore {
  std::optional<Template> from;  // none: it was saved while it ran
  UniqueFd memory;
};

class QemuMachine final : public Machine {
 public:
  QemuMachine(QemuTarget target, MachineSpec spec, QemuProcess process)
      : target_(std::move(target)),
        spec_(std::move(spec)),
        child_(std::move(process.child)),
        channel_(std::move(process.channel)),
        console_(std::move(process.console)),
        qmp_(std::make_shared<QmpClient>(std::move(process.monitor), QmpClient::Clock::time_point())) {
    say("qmp_capabilities", Json::object());
  }

  void restore(Restore from) {
    *memory_ = std::move(from.memory);
    restore_.emplace(std::move(from));
    say("migrate-set-capabilities", qemu_template_capabilities());
    say("migrate-incoming", {{"uri", fmt::format("fd:{}", qemu_state_fd)}});
  }

  pid_t pid() const override { return child_.pid(); }
  int exit_event() const override { return child_.pollable(); }
  Channel take_channel() override { return {std::move(channel_)}; }
  UniqueFd take_console() override { return std::move(console_); }
  int restore_event() const override { return restore_ ? qmp_->fd() : -1; }
  int talk_event() const override { return restore_ ? -1 : qmp_->fd(); }
  bool restored() const override { return restored_; }
  void kill() override { child_.kill(SIGKILL); }

  Result<bool> go_on() override {
    auto runs = qmp_->find_event("RESUME", [](const Json&) -> Result<bool> { return true; });
    if (runs && !*runs) return false;
    Restore ended = std::move(*std::exchange(restore_, std::nullopt));
    if (runs) {
      restored_ = true;
      return true;
    }
    auto status = TRY(child_.wait_for(last_moment));
    // By the kernel, which was short of memory, or by a person: it is not the template's fault.
    if (status && status->signal == SIGKILL) return fail(Errc::guest, "restore VM: QEMU was killed");
    if (!status) {
      kill();
      status = TRY(child_.wait());
    }
    std::string words = TRY(last_words(*status));
    std::string why = "restore VM: " + runs.error().message + (words.empty() ? "" : ": " + words);
    if (ended.from) ended.from->reject(why);
    return fail(Errc::start_failed, std::move(why));
  }

  bool listen() override {
    return qmp_->find_event("", [](const Json&) -> Result<bool> { return false; }).has_value();
  }

  Result<std::function<Result<>(const SaveTarget&)>> saving() const override {
    if (target_.accelerator == "hvf")
      return fail(Errc::unsupported, "save VM: QEMU cannot save one of Hypervisor.framework's");
    return [qmp = qmp_, base = memory_, target = target_, spec = spec_, pid = pid()](const SaveTarget& to) {
      return save_machine(*qmp, {target, spec, pid, *base}, to);
    };
  }

  Result<std::string> reap() override { return last_words(TRY(child_.wait())); }

 private:
  // Where QEMU has ended, that is found out by its end, and why.
  void say(std::string_view command, const Json& arguments) {
    [[maybe_unused]] auto ignored = qmp_->send(command, arguments);
  }

  Result<std::string> last_words(const ExitStatus& status) {
    std::string words = read_file(log_path(spec_), 64 << 10).value_or("");
    while (!words.empty() && words.back() == '\n') words.pop_back();
    if (auto forward = refused_forward(spec_, words))
      return fail(Errc::already_exists,
                  "publish port " + forward->host_address + ":" + std::to_string(forward->host_port) + "/" +
                      forward->protocol + ": it is taken on this host",
                  "choose another one, or leave it out: -p CONTAINER_PORT takes a free one");
    if (words.empty() && status.signal != 0 && status.signal != SIGKILL)
      words = "QEMU was killed by signal " + std::to_string(status.signal);
    return words;
  }

  QemuTarget target_;
  MachineSpec spec_;
  Child child_;
  UniqueFd channel_;
  UniqueFd console_;
  std::shared_ptr<QmpClient> qmp_;                                   // these two are shared with who saves it
  std::shared_ptr<UniqueFd> memory_ = std::make_shared<UniqueFd>();  // the file that its memory is a mapping of, if any
  std::optional<Restore> restore_;
  bool restored_ = false;
};

std::optional<std::string> qemu_program() {
  const char* chosen = std::getenv("DIATOM_QEMU");
  return find_program(chosen != nullptr && *chosen != '\0' ? chosen : "qemu-system-" + platform::host_info().machine);
}

std::string accelerator(const platform::Virtualisation& virtualisation) {
  return virtualisation.usable ? virtualisation.name : "tcg";
}

// QEMU takes paths in JSON, which is UTF-8.
Result<> check_path(const fs::path& path) {
  using nlohmann::json;
  const std::string& text = path.native();
  std::string utf8 = json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::ignore)).get<std::string>();
  if (utf8 == text) return {};
  return fail(Errc::invalid_argument, "boot VM: QEMU cannot take the path " + utf8,
              "set DIATOM_HOME to a folder whose name is UTF-8");
}

Result<> check_paths(const MachineSpec& spec) {
  TRY(check_path(spec.templates));
  for (const Disk& disk : spec.disks) {
    TRY(check_path(vmdk_path(spec, disk)));
    for (const DiskExtent& extent : disk.extents) TRY(check_path(extent.path));
  }
  return {};
}

// "QEMU emulator version 7.2.22 (Debian …)" -> "7.2.22"
std::string version_of(const std::string& words) {
  constexpr std::string_view before = "version ";
  size_t begin = words.find(before);
  if (begin == std::string::npos) return "";
  begin += before.size();
  return words.substr(begin, words.find_first_of(" \n", begin) - begin);
}

Result<QemuTarget> find_target() {
  auto program = qemu_program();
  if (!program) return fail(Errc::engine_unavailable, "boot VM: " + QemuEngine().probe().reason);
  return QemuTarget{.program = *program,
                    .arch = platform::host_info().arch,
                    .accelerator = accelerator(platform::probe_virtualisation()),
                    .tsc_khz = tsc_khz()};
}

// QEMU cannot save a VM of Hypervisor.framework's.
std::vector<Template> find_templates(const QemuTarget& target, const MachineSpec& spec) {
  if (spec.templates.empty() || !spec.saved.empty() || target.accelerator == "hvf") return {};
  return Template::find(target, spec).value_or(std::vector<Template>());
}

Result<std::unique_ptr<QemuMachine>> start(const QemuTarget& target, const MachineSpec& spec,
                                           std::optional<QemuTemplate> use,
                                           const std::vector<std::pair<int, int>>& fds) {
  std::vector<std::pair<int, int>> all = fds;
  if (spec.held_lock >= 0) all.emplace_back(spec.held_lock, qemu_lock_fd);
  QemuProcess process = TRY(start_qemu(qemu_command_line(target, spec, use), log_path(spec), all));
  return std::make_unique<QemuMachine>(target, spec, std::move(process));
}

// All is said at once: QEMU does one after the other, and ends when the state does not suit it.
Result<std::unique_ptr<Machine>> restore(const QemuTarget& target, const MachineSpec& spec, QemuTemplate use,
                                         const UniqueFd& state, Restore from) {
  auto machine = TRY(start(target, spec, use, {{state.get(), qemu_state_fd}, {from.memory.get(), qemu_memory_fd}}));
  machine->restore(std::move(from));
  return machine;
}

}  // namespace

Availability QemuEngine::probe() const {
  Availability found;
  std::string wanted = "qemu-system-" + platform::host_info().machine;
  auto program = qemu_program();
  if (!program || ::access(program->c_str(), X_OK) != 0) {
    found.reason = (program ? *program : wanted) + " is not installed: on Debian, apt-get install " +
                   (platform::host_info().arch == "arm64" ? "qemu-system-arm" : "qemu-system-x86");
    return found;
  }
  platform::Virtualisation virtualisation = platform::probe_virtualisation();
  found.usable = true;
  found.accelerator = accelerator(virtualisation);
  // Two emulated CPUs break the guest's kernel now and then (docs/architecture.md).
  found.max_vcpus = virtualisation.usable ? platform::host_info().cpus : 1;
  if (!virtualisation.usable) found.note = "emulation only, slow: " + virtualisation.reason;
  return found;
}

Result<std::string> QemuEngine::ask_version() const {
  auto program = qemu_program();
  if (!program) return fail(Errc::engine_unavailable, "find QEMU: not installed");
  CommandOutput out = TRY(run_command({*program, "--version"}, std::chrono::seconds(10)));
  return version_of(out.output);
}

Result<GuestKernel> QemuEngine::find_kernel(const fs::path& cache) const { return find_guest_kernel(cache); }

std::function<Result<>(const CancelToken&)> QemuEngine::preparation(const MachineSpec& given) const {
  MachineSpec spec = with_disk_sizes(given);
  if (!check_paths(spec)) return nullptr;  // boot() says so
  auto target = find_target();
  auto wanted = target ? find_templates(*target, spec) : std::vector<Template>();
  if (wanted.empty() || wanted.front().is_whole() || std::ranges::all_of(wanted, &Template::is_settled)) return nullptr;
  return [target = std::move(*target), wanted = std::move(wanted), spec](const CancelToken& cancel) -> Result<> {
    for (const Template& each : std::views::reverse(wanted)) {
      TRY(each.build(target, spec, cancel));
      if (each.has_failed()) break;  // somebody else has tried
    }
    return {};
  };
}

Result<std::unique_ptr<Machine>> QemuEngine::boot(const MachineSpec& given) {
  MachineSpec spec = with_disk_sizes(given);
  QemuTarget target = TRY(find_target());
  if (spec.host_sockets)
    return fail(Errc::unsupported, "use network \"tsi\": QEMU has no such thing", "use --engine krun, or leave it out");
  if (spec.gpu) return fail(Errc::unsupported, "use a GPU: QEMU gives none to a VM here", "use --engine krun");
  TRY(check_paths(spec));
  TRY(write_vmdk_descriptors(spec));
  if (!spec.saved.empty()) {
    SavedFiles files = TRY(open_saved_machine(target, spec));
    return restore(target, spec, QemuTemplate::copied, files.state, {std::nullopt, std::move(files.memory)});
  }
  for (Template& wanted : find_templates(target, spec)) {
    auto opened = wanted.open();
    if (!opened) continue;
    TRY(make_new_disks(spec, opened->make_disk));
    return restore(target, spec, opened->use, opened->state, {std::move(wanted), std::move(opened->memory)});
  }
  TRY(make_new_disks(spec));
  return start(target, spec, std::nullopt, {});
}

}  // namespace diatom::vm
