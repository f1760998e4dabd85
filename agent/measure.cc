#include "measure.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "base/file.h"
#include "cgroup.h"
#include "proc_text.h"
#include "users.h"

namespace diatom::agent {

namespace {

constexpr size_t largest_proc_file = 1 << 20;
constexpr size_t most_interfaces = 32;
constexpr size_t most_devices = 64;
// Of the list: a command line, and all of them. As text they may take twice as much.
constexpr size_t longest_command_line = 4096;
constexpr size_t command_line_budget = 256 << 10;
constexpr size_t largest_passwd = 4 << 20;

std::string read_proc(const std::string& path) { return read_file(path, largest_proc_file).value_or(""); }

uint64_t read_clock(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

channel::MemoryStats measure_memory() {
  std::string stat = read_cgroup("memory.stat");
  auto number = [&stat](std::string_view name) { return number_of(stat, name).value_or(0); };
  channel::MemoryStats memory;
  memory.current = single_number(read_cgroup("memory.current")).value_or(0);
  memory.peak = single_number(read_cgroup("memory.peak")).value_or(0);
  auto limit = single_number(read_cgroup("memory.max"));
  memory.limit = limit ? *limit : number_of(read_proc("/proc/meminfo"), "MemTotal:").value_or(0) << 10;
  memory.cache = number("file");
  memory.anon = number("anon");
  memory.inactive_file = number("inactive_file");
  memory.swap = single_number(read_cgroup("memory.swap.current")).value_or(0);
  memory.oom_kills = count_oom_kills();
  return memory;
}

uint64_t own_resident_bytes() { return number_of(read_proc("/proc/self/status"), "VmRSS:").value_or(0) << 10; }

// The container may have anything in the place of the file: no link leads out, and no fifo holds us up.
std::string read_passwd(pid_t first) {
  std::string root_path = "/proc/" + std::to_string(first) + "/root";
  UniqueFd root(::open(root_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  UniqueFd file(root ? static_cast<int>(::syscall(SYS_openat2, root.get(), "etc/passwd", &how, sizeof how)) : -1);
  struct stat status{};
  if (!file || ::fstat(file.get(), &status) < 0 || !S_ISREG(status.st_mode)) return "";
  return read_file("/proc/self/fd/" + std::to_string(file.get()), largest_passwd).value_or("");
}

// Not the whole file: a program may make it as long as its memory is large.
std::string read_command_line(uint64_t pid, size_t most) {
  std::string path = "/proc/" + std::to_string(pid) + "/cmdline";
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text(most, '\0');
  auto got = file ? read_full(file.get(), std::as_writable_bytes(std::span(text))) : Result<size_t>(0);
  text.resize(got.value_or(0));
  return text;
}

std::vector<ParsedProcess> parse_processes() {
  KernelClock clock{static_cast<uint64_t>(::sysconf(_SC_CLK_TCK)), read_clock(CLOCK_BOOTTIME),
                    read_clock(CLOCK_REALTIME)};
  std::vector<ParsedProcess> parsed;
  for (const std::string& name : list_directory("/proc").value_or(std::vector<std::string>())) {
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::string status = read_proc("/proc/" + name + "/status");
    std::string stat = read_proc("/proc/" + name + "/stat");
    if (auto process = parse_process({stat, status}, clock)) parsed.push_back(std::move(*process));
  }
  std::ranges::sort(parsed, {}, [](const ParsedProcess& process) { return process.entry.pid; });
  return parsed;
}

}  // namespace

channel::Stats measure() {
  channel::Stats stats;
  stats.cpu = parse_cpu_stat(read_cgroup("cpu.stat"));
  stats.memory = measure_memory();
  stats.io = parse_io_stat(read_cgroup("io.stat"));
  stats.pids.current = single_number(read_cgroup("pids.current")).value_or(0);
  stats.pids.limit = single_number(read_cgroup("pids.max")).value_or(0);
  stats.interfaces = parse_net_dev(read_proc("/proc/net/dev"));
  // The answer is bounded, whatever a privileged container makes of its kernel.
  if (stats.interfaces.size() > most_interfaces) stats.interfaces.resize(most_interfaces);
  if (stats.io.devices.size() > most_devices) stats.io.devices.resize(most_devices);
  stats.online_cpus = static_cast<uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  stats.time_us = read_clock(CLOCK_REALTIME);
  stats.uptime_us = read_clock(CLOCK_BOOTTIME);
  stats.agent_rss_bytes = own_resident_bytes();
  return stats;
}

channel::ProcessList list_processes(pid_t first) {
  std::vector<ParsedProcess> parsed = parse_processes();
  std::map<uid_t, std::string> users = user_names(read_passwd(first));
  std::map<uint64_t, uint64_t> pids;  // as the container sees them, by the agent's
  for (const ParsedProcess& process : parsed) pids[process.guest_pid] = process.entry.pid;
  channel::ProcessList list;
  list.total = parsed.size();
  if (parsed.size() > channel::most_listed_processes) parsed.resize(channel::most_listed_processes);
  size_t budget = command_line_budget;
  for (ParsedProcess& process : parsed) {
    channel::ProcessEntry& entry = list.processes.emplace_back(std::move(process.entry));
    if (auto parent = pids.find(process.guest_parent); parent != pids.end()) entry.ppid = parent->second;
    if (auto user = users.find(entry.uid); user != users.end()) entry.user = user->second.substr(0, 256);
    entry.cmdline = read_command_line(process.guest_pid, std::min(longest_command_line, budget));
    budget -= entry.cmdline.size();
  }
  return list;
}

}  // namespace diatom::agent
