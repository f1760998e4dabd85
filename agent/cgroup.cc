#include "cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>

#include "base/file.h"
#include "boot.h"
#include "devices.h"
#include "mounts.h"
#include "network.h"
#include "proc_text.h"

namespace diatom::agent {

namespace {

using namespace std::chrono_literals;
constexpr auto freeze_deadline = 5s;
constexpr size_t largest_cgroup_file = 64 << 10;

std::string path_of(std::string_view name) { return std::string(container_cgroup) + "/" + std::string(name); }

Result<> write_cgroup(std::string_view name, std::string_view value) {
  std::string path = path_of(name);
  UniqueFd fd = TRY(open_file(path, O_WRONLY));
  return write_all(fd.get(), value);
}

void write_quietly(std::string_view name, std::string_view value) {
  if (auto result = write_cgroup(name, value); !result) log(result.error().message);
}

// Less than all, so that it is a program of the container's that ends when there is no more, and not the kernel, which
// panics when the agent cannot go on. Known once: what is available falls as the container takes it.
uint64_t& memory_to_spare() {
  static uint64_t bytes = UINT64_MAX;
  return bytes;
}

void measure_memory() {
  // With 128 MiB, 60 MiB of the 92 MiB that the kernel calls its total are available now. What is kept back is for what
  // it does not charge to anybody, and for the agent's streams.
  uint64_t available = number_of(read_file("/proc/meminfo", 64 << 10).value_or(""), "MemAvailable:").value_or(0) << 10;
  uint64_t reserve = (8ULL << 20) + available / 64;
  if (available > reserve) memory_to_spare() = available - reserve;
}

// What of the cgroup is there already. Rules that could not be made are not, and are tried again.
struct Prepared {
  bool made = false;
  bool devices = false;
  std::optional<uint64_t> memory_max;
  std::optional<channel::NetworkConfig> network;
};

Prepared& prepared() {
  static Prepared prepared;
  return prepared;
}

Result<> limit_memory(uint64_t wanted) {
  uint64_t most = std::min(wanted == 0 ? UINT64_MAX : wanted, memory_to_spare());
  if (prepared().memory_max == most) return {};
  TRY(write_cgroup("memory.max", most == UINT64_MAX ? "max" : std::to_string(most)));
  if (::access(path_of("memory.swap.max").c_str(), W_OK) == 0) TRY(write_cgroup("memory.swap.max", "0"));
  prepared().memory_max = most;
  return {};
}

bool make_hierarchy() {
  if (!mount_at("cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr)) return false;
  // One by one: a kernel may lack any of them.
  for (const char* controller : {"+cpu", "+memory", "+pids", "+io", "+cpuset"})
    if (auto fd = open_file("/sys/fs/cgroup/cgroup.subtree_control", O_WRONLY)) [[maybe_unused]]
      auto ignored = write_all(fd->get(), controller);
  ::mkdir(container_cgroup, 0755);
  prepared().made = true;
  return true;
}

// They go with the cgroup; nobody is in it yet.
void drop_rules() {
  if (::rmdir(container_cgroup) < 0 || ::mkdir(container_cgroup, 0755) < 0)
    return log(std::string("make the cgroup anew: ") + std::strerror(errno));
  prepared() = Prepared();
  prepared().made = true;
}

void restrict_container_devices() {
  auto cgroup = open_file(container_cgroup, O_RDONLY | O_DIRECTORY);
  if (!cgroup) return;
  auto restricted = restrict_devices(cgroup->get());
  prepared().devices = restricted.has_value();
  if (!restricted) log("devices are not restricted: " + restricted.error().message);
}

void restrict_container_network(const channel::NetworkConfig& network) {
  auto cgroup = open_file(container_cgroup, O_RDONLY | O_DIRECTORY);
  if (!cgroup) return;
  auto closed_off = close_host_network(cgroup->get(), network);
  if (closed_off)
    prepared().network = network;
  else
    log("the host's loopback is not closed to the container: " + closed_off.error().message);
}

bool same_rules(const channel::NetworkConfig& a, const channel::NetworkConfig& b) {
  return std::tie(a.address, a.prefix, a.resolver, a.published_udp) ==
         std::tie(b.address, b.prefix, b.resolver, b.published_udp);
}

std::string number_or_max(uint64_t value) { return value == 0 ? "max" : std::to_string(value); }

}  // namespace

void prepare_cgroup(const std::optional<channel::NetworkConfig>& network) {
  if (!make_hierarchy()) return;
  measure_memory();
  restrict_container_devices();
  if (network) restrict_container_network(*network);
  if (auto limited = limit_memory(0); !limited) log(limited.error().message);
}

void make_cgroup(const channel::ContainerConfig& config) {
  if (!prepared().made && !make_hierarchy()) return;
  if (config.privileged && prepared().devices) drop_rules();
  if (memory_to_spare() == UINT64_MAX) measure_memory();
  if (auto limited = limit_memory(config.memory_max); !limited) log(limited.error().message);
  if (!config.privileged && !prepared().devices) restrict_container_devices();
  if (config.network && !(prepared().network && same_rules(*prepared().network, *config.network)))
    restrict_container_network(*config.network);
  if (config.cpu_quota_us > 0) write_quietly("cpu.max", std::to_string(config.cpu_quota_us) + " 100000");
  if (config.pids_max > 0) write_quietly("pids.max", std::to_string(config.pids_max));
}

Result<> set_limits(const channel::Limits& limits) {
  if (limits.cpu_quota_us) TRY(write_cgroup("cpu.max", number_or_max(*limits.cpu_quota_us) + " 100000"));
  if (limits.cpu_weight) TRY(write_cgroup("cpu.weight", std::to_string(*limits.cpu_weight)));
  if (limits.memory_max) TRY(limit_memory(*limits.memory_max));
  if (limits.pids_max) TRY(write_cgroup("pids.max", number_or_max(*limits.pids_max)));
  return {};
}

std::string read_cgroup(std::string_view name) { return read_file(path_of(name), largest_cgroup_file).value_or(""); }

uint64_t count_oom_kills() { return number_of(read_cgroup("memory.events"), "oom_kill").value_or(0); }

void kill_cgroup() {
  // In Linux since 5.14.
  if (auto killed = write_cgroup("cgroup.kill", "1"); !killed) log(killed.error().message);
}

Freezer::~Freezer() {
  if (changes_) loop_.forget(changes_.get());
  if (deadline_) loop_.cancel(*deadline_);
}

void Freezer::set(bool frozen, Done done) {
  if (frozen != wanted_) {
    answer(fail(Errc::cancelled, "wait for the container: the opposite was asked for"));
    if (auto begun = begin(frozen); !begun) return done(std::move(begun));
  }
  waiting_.push_back(std::move(done));
  if (!deadline_) deadline_ = loop_.after(freeze_deadline, [this] { give_up(); });
  look();
}

Result<> Freezer::begin(bool frozen) {
  if (!changes_) {
    UniqueFd changes(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!changes || ::inotify_add_watch(changes.get(), path_of("cgroup.events").c_str(), IN_MODIFY) < 0)
      return fail_errno("watch cgroup");
    changes_ = std::move(changes);
    loop_.on_readable(changes_.get(), [this] { look(); });
  }
  TRY(write_cgroup("cgroup.freeze", frozen ? "1" : "0"));
  wanted_ = frozen;
  return {};
}

void Freezer::look() {
  std::array<char, 4096> events;
  while (::read(changes_.get(), events.data(), events.size()) > 0) {
  }
  if (!waiting_.empty() && number_of(read_cgroup("cgroup.events"), "frozen") == (wanted_ ? 1 : 0)) answer({});
}

void Freezer::give_up() {
  deadline_.reset();
  if (wanted_) {
    wanted_ = false;
    write_quietly("cgroup.freeze", "0");
  }
  answer(fail(Errc::timeout, "wait for the container: a process does not stop"));
}

void Freezer::answer(const Result<>& result) {
  if (deadline_) loop_.cancel(*deadline_);
  deadline_.reset();
  for (auto& done : std::exchange(waiting_, {})) done(result);
}

}  // namespace diatom::agent
