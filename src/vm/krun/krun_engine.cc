#include "vm/krun/krun_engine.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "base/installation.h"
#include "base/platform/platform.h"
#include "base/unix_socket.h"
#include "vm/disks.h"
#include "vm/krun/disk_files.h"
#include "vm/krun/library.h"
#include "vm/krun/vmm.h"
#include "vm/krun/vmm_config.h"
#include "vm/vmdk.h"

namespace diatom::vm {

namespace {

using namespace std::chrono_literals;

constexpr auto ask_deadline = 10s;

fs::path log_path(const MachineSpec& spec) { return spec.directory / "vmm.log"; }

Result<fs::path> find_installed(std::string_view name, const char* variable) {
  const char* chosen = std::getenv(variable);
  if (chosen != nullptr && *chosen != '\0') return fs::path(chosen);
  std::string looked;
  for (const auto& candidate : installed_file_candidates(name)) {
    if (::access(candidate.c_str(), R_OK) == 0) return candidate;
    looked += (looked.empty() ? "" : ", ") + candidate.string();
  }
  return fail(Errc::engine_unavailable, fmt::format("find {}: looked for {}", name, looked),
              fmt::format("it is installed with diatom; {} names it elsewhere", variable));
}

Result<fs::path> vmm_program() { return find_installed("libexec/diatom/diatom-krun", "DIATOM_KRUN_VMM"); }

class KrunMachine final : public Machine {
 public:
  KrunMachine(Child child, UniqueFd listener, UniqueFd console, const MachineSpec& spec)
      : child_(std::move(child)),
        listener_(std::move(listener)),
        console_(std::move(console)),
        socket_(spec.channel_socket),
        log_(log_path(spec)),
        files_directory_(files_directory(spec)) {}
  KrunMachine(const KrunMachine&) = delete;
  KrunMachine& operator=(const KrunMachine&) = delete;
  KrunMachine(KrunMachine&&) = delete;
  KrunMachine& operator=(KrunMachine&&) = delete;
  ~KrunMachine() override {
    ::unlink(socket_.c_str());
    std::error_code ignored;
    fs::remove_all(files_directory_, ignored);
  }

  pid_t pid() const override { return child_.pid(); }
  int exit_event() const override { return child_.pollable(); }
  Channel take_channel() override { return {.fd = std::move(listener_), .listens = true}; }
  UniqueFd take_console() override { return std::move(console_); }
  int restore_event() const override { return -1; }
  Result<bool> go_on() override { return true; }
  bool restored() const override { return false; }
  void kill() override { child_.kill(SIGKILL); }

  Result<std::string> reap() override {
    ExitStatus status = TRY(child_.wait());
    std::string words = read_file(log_, 64 << 10).value_or("");
    while (!words.empty() && words.back() == '\n') words.pop_back();
    if (status.code == krun_failed_exit)
      if (auto error = decode_vmm_error(words)) return std::unexpected(std::move(*error));
    if (status.signal == 0 || status.signal == SIGKILL) return words;
    // Where there is no /dev/kvm it aborts.
    if (auto error = no_virtualisation()) return std::unexpected(std::move(*error));
    return words.empty() ? "libkrun was killed by signal " + std::to_string(status.signal) : words;
  }

 private:
  Child child_;
  UniqueFd listener_;
  UniqueFd console_;
  fs::path socket_;
  fs::path log_;
  fs::path files_directory_;  // where libkrun has no disks
};

}  // namespace

Availability KrunEngine::probe() const {
  Availability found;
  platform::Virtualisation virtualisation = platform::probe_virtualisation();
  if (!virtualisation.usable) {
    found.reason = "no hardware virtualisation: " + virtualisation.reason;
    return found;
  }
  auto library = find_libkrun();
  auto program = library ? vmm_program() : Result<fs::path>(std::unexpected(library.error()));
  if (!program) {
    found.reason = program.error().message + (program.error().hint.empty() ? "" : ": " + program.error().hint);
    return found;
  }
  found.usable = true;
  found.accelerator = virtualisation.name;
  found.version = libkrun_version(*library);
  found.max_vcpus = platform::host_info().cpus;
  return found;
}

// libkrun has no call for it: the process that would load it tells what is there, and what is lacking.
Result<std::string> KrunEngine::ask_version() const {
  fs::path program = TRY(vmm_program());
  CommandOutput out = TRY(run_command({program.string(), "--probe"}, ask_deadline));
  while (out.output.ends_with('\n')) out.output.pop_back();
  if (out.status.code != 0) {
    auto error = decode_vmm_error(out.output);
    return std::unexpected(error ? *error : Error{Errc::engine_unavailable, "ask libkrun: " + out.output, ""});
  }
  return out.output;
}

Result<GuestKernel> KrunEngine::find_kernel(const fs::path&) const {
  GuestKernel kernel;
  kernel.version = "libkrunfw";
  kernel.agent_directory = TRY(find_installed("share/diatom/guest/krun/agent", "DIATOM_KRUN_AGENT")).parent_path();
  return kernel;
}

Result<std::unique_ptr<Machine>> KrunEngine::boot(const MachineSpec& spec) {
  fs::path program = TRY(vmm_program());
  fs::path library = TRY(find_libkrun());
  VmmConfig config = make_vmm_config(spec, library.string(), find_libkrunfw_for(library).value_or("").string());
  TRY(make_new_disks(spec));
  TRY(write_vmdk_descriptors(spec));
  fs::path config_path = spec.directory / "vmm.json";
  UniqueFd config_fd = TRY(open_file(config_path, O_RDWR | O_CREAT | O_TRUNC, 0600));
  TRY(write_all(config_fd.get(), encode_vmm_config(config)));

  TRY(make_directories(spec.channel_socket.parent_path()));
  UniqueFd listener = TRY(listen_on(spec.channel_socket));
  TemporaryPath undo(spec.channel_socket);
  platform::Pipe console = TRY(platform::make_pipe());
  UniqueFd log_fd = TRY(open_file(log_path(spec), O_WRONLY | O_CREAT | O_TRUNC, 0600));
  ChildOptions options;
  options.argv = {program.string(), config_path.string()};
  options.inherit_environment = false;
  options.environment = {"HOSTNAME=" + spec.id.substr(0, 12)};  // libkrun names the process after it
  options.fds = {{log_fd.get(), 1}, {log_fd.get(), 2}, {console.write_end.get(), krun_console_fd}};
  if (spec.held_lock >= 0) options.fds.emplace_back(spec.held_lock, krun_lock_fd);
  if (spec.gpu_lock >= 0) options.fds.emplace_back(spec.gpu_lock, krun_gpu_lock_fd);
  options.new_process_group = true;
  Child child = TRY(Child::spawn(options));
  undo.keep();
  return std::make_unique<KrunMachine>(std::move(child), std::move(listener), std::move(console.read_end), spec);
}

}  // namespace diatom::vm
