// Other processes: their ends, what they have open, what they cost.
#include <crt_externs.h>
#include <fcntl.h>
#include <libproc.h>
#include <mach/mach_time.h>
#include <poll.h>
#include <signal.h>
#include <sys/event.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/platform/platform.h"

namespace diatom::platform {

char** environment() { return *::_NSGetEnviron(); }

namespace {

// An event of our own, which has happened.
int trigger(const UniqueFd& events) {
  struct kevent changes[2]{};
  EV_SET(&changes[0], 0, EVFILT_USER, EV_ADD, 0, 0, nullptr);
  EV_SET(&changes[1], 0, EVFILT_USER, 0, NOTE_TRIGGER, 0, nullptr);
  return ::kevent(events.get(), changes, 2, nullptr, 0, nullptr);
}

}  // namespace

// The event is never taken out of the queue, which stays readable so.
Result<UniqueFd> open_exit_event(pid_t pid) {
  std::string what = "watch process " + std::to_string(pid);
  if (pid <= 0) return fail_errno(what, EINVAL);
  UniqueFd events(::kqueue());
  if (!events) return fail_errno(what);
  ::fcntl(events.get(), F_SETFD, FD_CLOEXEC);
  struct kevent change{};
  EV_SET(&change, static_cast<uintptr_t>(pid), EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, nullptr);
  if (::kevent(events.get(), &change, 1, nullptr, 0, nullptr) == 0) return events;
  // One that has ended and was not waited for can be signalled, but not watched.
  if (errno != ESRCH || ::kill(pid, 0) < 0 || trigger(events) < 0) return fail_errno(what);
  return events;
}

// There are no handles of processes. Pids are given out in turn, so one that was free a moment ago is nobody else's
// yet.
int send_signal(const UniqueFd& exit_event, pid_t pid, int signal) {
  pollfd ended{exit_event.get(), POLLIN, 0};
  if (::poll(&ended, 1, 0) == 0) return ::kill(pid, signal);
  errno = ESRCH;
  return -1;
}

bool holds_lock(pid_t pid, const std::filesystem::path& path) {
  struct stat wanted{};
  if (::stat(path.c_str(), &wanted) < 0) return false;
  int bytes = ::proc_pidinfo(pid, PROC_PIDLISTFDS, 0, nullptr, 0);
  if (bytes <= 0) return false;
  std::vector<proc_fdinfo> open(static_cast<size_t>(bytes) / sizeof(proc_fdinfo));
  bytes = ::proc_pidinfo(pid, PROC_PIDLISTFDS, 0, open.data(), static_cast<int>(open.size() * sizeof(proc_fdinfo)));
  open.resize(bytes > 0 ? static_cast<size_t>(bytes) / sizeof(proc_fdinfo) : 0);
  for (const proc_fdinfo& one : open) {
    vnode_fdinfo file{};
    if (one.proc_fdtype != PROX_FDTYPE_VNODE) continue;
    if (::proc_pidfdinfo(pid, one.proc_fd, PROC_PIDFDVNODEINFO, &file, sizeof file) != sizeof file) continue;
    const vinfo_stat& status = file.pvi.vi_stat;
    if (status.vst_ino == wanted.st_ino && status.vst_dev == static_cast<uint32_t>(wanted.st_dev)) return true;
  }
  return false;
}

Result<> copy_process_memory(pid_t, uint64_t, uint64_t, int, const std::filesystem::path&) {
  return fail(Errc::unsupported, "copy the memory of a process: macOS lets nobody do so");
}

Result<bool> map_in_process(pid_t, uint64_t, uint64_t, int) { return false; }

ProcessUsage process_usage(pid_t pid) {
  rusage_info_v2 found{};
  if (::proc_pid_rusage(pid, RUSAGE_INFO_V2, reinterpret_cast<rusage_info_t*>(&found)) < 0) return {};
  // Its times are in ticks: nanoseconds on Intel's CPUs only.
  mach_timebase_info_data_t tick{};
  if (::mach_timebase_info(&tick) != KERN_SUCCESS || tick.denom == 0) tick = {1, 1};
  __extension__ using Wide = unsigned __int128;
  Wide ns = Wide{found.ri_user_time + found.ri_system_time} * tick.numer / tick.denom;
  return {.rss_bytes = found.ri_resident_size,
          .pss_bytes = found.ri_phys_footprint,
          .cpu_us = static_cast<uint64_t>(ns / 1000)};
}

}  // namespace diatom::platform
