#include "identity.h"

#include <fcntl.h>
#include <linux/random.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "base/file.h"
#include "base/platform/platform.h"
#include "mounts.h"

namespace diatom::agent {

namespace {

constexpr int64_t ns_per_second = 1'000'000'000;

int64_t read_clock(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * ns_per_second + now.tv_nsec;
}

Result<> set_clock(int64_t offset_ns) {
  // Again, where it took long between looking and setting: all code runs here for the first time.
  for (int attempt = 0; attempt < 10; ++attempt) {
    int64_t now_ns = offset_ns + monotonic_ns();
    timespec now{.tv_sec = now_ns / ns_per_second, .tv_nsec = now_ns % ns_per_second};
    if (::clock_settime(CLOCK_REALTIME, &now) < 0) return fail_errno("set the clock");
    int64_t late_ns = offset_ns + monotonic_ns() - read_clock(CLOCK_REALTIME);
    if (std::abs(late_ns) < ns_per_second / 1000) break;
  }
  return {};
}

// It stays open: an end is code, too, that a restored VM would run for the first time.
UniqueFd& random_device() {
  static UniqueFd device;
  return device;
}

Result<> feed_entropy(std::string_view entropy) {
  UniqueFd& random = random_device();
  if (!random) random = TRY(open_file("/dev/random", O_WRONLY));
  std::vector<int> pool((sizeof(rand_pool_info) + entropy.size() + sizeof(int) - 1) / sizeof(int));
  pool[0] = static_cast<int>(entropy.size() * 8);  // rand_pool_info: entropy_count, buf_size, buf
  pool[1] = static_cast<int>(entropy.size());
  std::memcpy(&pool[2], entropy.data(), entropy.size());
  if (::ioctl(random.get(), RNDADDENTROPY, pool.data()) < 0) return fail_errno("add entropy");
  // The key in use is still the template's. A kernel that was not ready before has just made itself one.
  if (::ioctl(random.get(), RNDRESEEDCRNG, nullptr) < 0) return fail_errno("reseed the kernel's random numbers");
  return {};
}

// In a process of its own: there is no way back from another root.
Result<> in_namespaces(pid_t first, int kinds, const std::function<Result<>()>& act) {
  platform::Pipe words = TRY(platform::make_pipe());
  UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, first, 0)));
  if (!process) return fail_errno("look at the container's first process");
  pid_t child = ::fork();
  if (child < 0) return fail_errno("make a process");
  if (child == 0) {
    Result<> done = ::setns(process.get(), kinds) < 0 ? fail_errno("enter the container") : act();
    if (!done) [[maybe_unused]]
      auto ignored = write_all(words.write_end.get(), done.error().message);
    ::_exit(0);
  }
  words.write_end.reset();
  auto failure = read_to_end(words.read_end.get(), "what a process says");
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (!failure) return std::unexpected(failure.error());
  return failure->empty() ? Result<>() : fail(Errc::guest, std::move(*failure));
}

}  // namespace

int64_t monotonic_ns() { return read_clock(CLOCK_MONOTONIC); }

void prepare_identity() { random_device().reset(::open("/dev/random", O_WRONLY | O_CLOEXEC)); }

Result<> take_identity(int64_t clock_offset_ns, std::string_view entropy) {
  if (clock_offset_ns > 0) TRY(set_clock(clock_offset_ns));
  return entropy.empty() ? Result<>() : feed_entropy(entropy);
}

Result<> rename_host(pid_t first, const std::string& from, const std::string& to) {
  TRY(in_namespaces(first, CLONE_NEWUTS, [&]() -> Result<> {
    if (::sethostname(to.data(), to.size()) < 0) return fail_errno("set host name");
    return {};
  }));
  return rename_in_etc_files(from, to);
}

Result<> change_boot_id(pid_t first) {
  std::string id = TRY(read_file("/proc/sys/kernel/random/uuid", 64));
  UniqueFd file = TRY(make_boot_id_file(id));
  if (!file) return {};
  return in_namespaces(first, CLONE_NEWNS, [&]() -> Result<> {
    const char* path = "/proc/sys/kernel/random/boot_id";
    if (::move_mount(file.get(), "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
      return fail_errno(std::string("mount ") + path);
    return {};
  });
}

}  // namespace diatom::agent
