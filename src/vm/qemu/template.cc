#include "vm/qemu/template.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/child.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/platform/platform.h"
#include "vm/engine.h"
#include "vm/qemu/qmp.h"

namespace diatom::vm {

namespace {

using namespace std::chrono_literals;

// Of what this file writes, and of what the agent does before it waits for the host.
constexpr int format_version = 1;
constexpr std::string_view name_prefix = "vm-";
constexpr size_t start_digits = 8;
constexpr size_t key_digits = 32;
constexpr auto boot_deadline = 60s;
constexpr auto end_deadline = 10s;
constexpr uint64_t most_state = 64 << 20;  // some 80 KiB; with a device whose state is large, more

struct stat status_of(const fs::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) < 0) status = {};
  return status;
}

int64_t modified_ns(const struct stat& status) {
  timespec time = platform::modified_at(status);
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

Result<std::string> identity(const fs::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) < 0) return fail_errno("look at " + path.string());
  return fmt::format("{}:{}:{}\n", path.string(), status.st_size, modified_ns(status));
}

fs::path memory_path(const fs::path& folder) { return folder / "memory"; }
fs::path state_path(const fs::path& folder) { return folder / "state"; }
fs::path record_path(const fs::path& folder) { return folder / "template.json"; }

// What must be so as it was when the template was made. The memory is too much to be hashed at each start: a file that
// somebody has written to has another time.
Json describe(const struct stat& memory, const std::string& state) {
  return {{"format", format_version},
          {"memory_bytes", static_cast<int64_t>(memory.st_size)},
          {"memory_modified_ns", modified_ns(memory)},
          {"state_sha256", sha256_hex(state)}};
}

bool has(const Json& data, const char* name, const Json& value) {
  auto found = data.find(name);
  return found != data.end() && *found == value;
}

}  // namespace

MachineSpec template_spec(const MachineSpec& spec) {
  MachineSpec wanted;
  wanted.id = "template";
  wanted.vcpus = spec.vcpus;
  wanted.memory_bytes = spec.memory_bytes;
  wanted.kernel = spec.kernel;
  for (const Disk& disk : spec.disks)
    wanted.disks.push_back({.serial = disk.serial, .extents = {}, .read_only = disk.read_only});
  if (spec.network) {
    wanted.network = spec.network;
    wanted.network->mac = "02:00:00:00:00:01";
    wanted.network->forwards.clear();
  }
  return wanted;
}

Result<std::string> template_key(const QemuTarget& target, const MachineSpec& spec) {
  QemuTarget measured = target;
  measured.tsc_khz = 0;  // no two measurements are the same
  std::string text = fmt::format("format {}\n", format_version);
  for (const auto& word :
       qemu_command_line(measured, template_spec(spec), QemuTemplate{.memory = "", .restore = false}))
    text += word + "\n";
  for (const fs::path& path : {fs::path(target.program), spec.kernel.image, spec.kernel.initramfs, spec.kernel.agent_disk})
    if (!path.empty()) text += TRY(identity(path));
  return sha256_hex(text);
}

Result<std::optional<Template>> Template::find(const QemuTarget& target, const MachineSpec& spec) {
  std::string host_start = platform::host_start_id();
  bool fits = true;
  for (const Disk& disk : spec.disks) {
    uint64_t bytes = 0;
    for (const DiskExtent& extent : disk.extents) bytes += extent.bytes;
    fits = fits && bytes <= template_disk_bytes;
  }
  // What was not written out before a power cut, and what a CPU of another kind would make of it, is no question: a
  // template is of one run of the host's kernel.
  if (!fits || host_start.empty()) return std::nullopt;
  std::string prefix = std::string(name_prefix) + sha256_hex(host_start).substr(0, start_digits) + "-";
  std::string key = TRY(template_key(target, spec));
  return Template(spec.templates / (prefix + key.substr(0, key_digits)), prefix);
}

bool Template::is_settled() const {
  if (::access(failure_path().c_str(), F_OK) == 0) return true;
  auto state = open_file(state_path(folder_), O_RDONLY);
  return state && is_whole(*state);
}

bool Template::is_whole(const UniqueFd& state) const {
  auto record = read_file(record_path(folder_), 4096);
  auto size = file_size(state.get());
  if (!record || !size || *size > most_state) return false;
  std::string content(*size, '\0');
  if (!pread_all(state.get(), std::as_writable_bytes(std::span(content)), 0)) return false;
  return parse_foreign_json(*record) == describe(status_of(memory_path(folder_)), content);
}

std::optional<Template::Opened> Template::open() const {
  if (::access(failure_path().c_str(), F_OK) == 0 || ::access(record_path(folder_).c_str(), F_OK) != 0)
    return std::nullopt;
  auto lock = FileLock::try_acquire(lock_path(), FileLock::Mode::shared);
  if (!lock || !*lock) return std::nullopt;
  auto state = open_file(state_path(folder_), O_RDONLY);
  if (!state || !is_whole(*state)) return std::nullopt;
  return Opened{std::move(**lock), std::move(*state), memory_path(folder_)};
}

void Template::reject(const std::string& why) const {
  [[maybe_unused]] auto ignored = replace_file(failure_path(), why + "\n");
}

Result<> Template::build(const QemuTarget& target, const MachineSpec& spec, const CancelToken& cancel) const {
  TRY(make_directories(folder_.parent_path()));
  FileLock lock = TRY(FileLock::acquire(lock_path(), [&] { return cancel.check(); }));
  if (is_settled()) return {};
  remove_older();
  auto made = make(target, spec, cancel);
  if (!made && made.error().code != Errc::cancelled) reject(made.error().message);
  return made;
}

Result<> Template::make(const QemuTarget& target, const MachineSpec& spec, const CancelToken& cancel) const {
  fs::path folder = folder_.string() + ".new";
  TRY(remove_tree(folder));  // of one that was killed
  TRY(make_directories(folder));
  TemporaryPath undo(folder);
  UniqueFd state = TRY(open_file(state_path(folder), O_RDWR | O_CREAT | O_TRUNC));
  UniqueFd log_fd = TRY(open_file(folder / "vmm.log", O_RDWR | O_CREAT | O_TRUNC));
  platform::SocketPair channel = TRY(platform::make_socket_pair());
  platform::SocketPair console = TRY(platform::make_socket_pair());
  platform::SocketPair monitor = TRY(platform::make_socket_pair());
  ChildOptions options;
  options.argv = qemu_command_line(target, template_spec(spec),
                                   QemuTemplate{.memory = memory_path(folder), .restore = false});
  options.inherit_environment = false;
  options.fds = {{log_fd.get(), 1},
                 {log_fd.get(), 2},
                 {channel.theirs.get(), qemu_channel_fd},
                 {console.theirs.get(), qemu_console_fd},
                 {monitor.theirs.get(), qemu_monitor_fd}};
  options.new_process_group = true;
  Child child = TRY(Child::spawn(options));
  for (auto* pair : {&channel, &console, &monitor}) pair->theirs.reset();

  QmpClient qmp(std::move(monitor.ours), QmpClient::Clock::now() + boot_deadline, &cancel);
  auto save = [&]() -> Result<> {
    TRY(qmp.send("qmp_capabilities", Json::object()));
    TRY(qmp.send("migrate-set-capabilities", qemu_template_capabilities()));
    TRY(qmp.await_event("VSERPORT_CHANGE", [](const Json& data) -> Result<bool> {
      return has(data, "id", qemu_channel_device) && has(data, "open", true);
    }));
    TRY(qmp.give("state", state.get()));
    TRY(qmp.send("migrate", {{"uri", "fd:state"}}));
    TRY(qmp.await_event("MIGRATION", [](const Json& data) -> Result<bool> {
      if (has(data, "status", "failed")) return fail(Errc::start_failed, "save VM: QEMU has failed to");
      return has(data, "status", "completed");
    }));
    // What the agent has said would be missing from whatever is restored.
    pollfd said{channel.ours.get(), POLLIN, 0};
    if (::poll(&said, 1, 0) != 0) return fail(Errc::start_failed, "save VM: its agent did not wait to be spoken to");
    return qmp.send("quit", Json::object());
  };
  if (auto saved = save(); !saved) {
    child.kill(SIGKILL);
    [[maybe_unused]] auto ended = child.wait();
    std::string words = read_file(folder / "vmm.log", 64 << 10).value_or("");
    return fail(saved.error().code, "make template: " + saved.error().message + (words.empty() ? "" : ": " + words));
  }
  if (!TRY(child.wait_for(end_deadline))) return fail(Errc::timeout, "make template: QEMU does not end");

  // From now on nobody writes to it; a mapping's writes set its time at some time of their own.
  UniqueFd memory = TRY(open_file(memory_path(folder), O_RDONLY));
  if (::futimens(memory.get(), nullptr) < 0) return fail_errno("set time of " + memory_path(folder).string());
  std::string content = TRY(read_file(state_path(folder), most_state));
  ::unlink((folder / "vmm.log").c_str());
  TRY(replace_file(record_path(folder), print_json(describe(status_of(memory_path(folder)), content))));
  TRY(remove_tree(folder_));  // one that was damaged
  if (::rename(folder.c_str(), folder_.c_str()) < 0) return fail_errno("rename to " + folder_.string());
  undo.keep();
  return {};
}

namespace {

// Of "vm-0123abcd-….lock" and the like: the name of the folder.
std::string_view folder_of(std::string_view name) { return name.substr(0, name.find('.')); }

Result<uint64_t> remove_template(const fs::path& folder) {
  auto lock = TRY(FileLock::try_acquire(folder.string() + ".lock"));
  if (!lock) return 0;
  uint64_t freed = disk_bytes(folder);
  for (const char* suffix : {"", ".new", ".failed", ".lock"}) TRY(remove_tree(folder.string() + suffix));
  return freed;
}

Result<uint64_t> remove_templates(const fs::path& templates, auto which) {
  uint64_t freed = 0;
  if (::access(templates.c_str(), F_OK) != 0) return 0;
  for (const auto& name : TRY(list_directory(templates)))
    if (name.starts_with(name_prefix) && which(name)) freed += TRY(remove_template(templates / folder_of(name)));
  return freed;
}

}  // namespace

// A wish: what is in the way is nobody's trouble who wants a VM.
void Template::remove_older() const {
  [[maybe_unused]] auto ignored =
      remove_templates(folder_.parent_path(), [&](const std::string& name) { return !name.starts_with(prefix_); });
}

Result<uint64_t> prune_templates(const fs::path& templates) {
  return remove_templates(templates, [](const std::string&) { return true; });
}

}  // namespace diatom::vm
