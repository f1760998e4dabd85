#include "identity.h"

#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <time.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/file.h"

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

Result<> feed_entropy(std::string_view entropy) {
  UniqueFd random = TRY(open_file("/dev/random", O_WRONLY));
  std::vector<int> pool((sizeof(rand_pool_info) + entropy.size() + sizeof(int) - 1) / sizeof(int));
  pool[0] = static_cast<int>(entropy.size() * 8);  // rand_pool_info: entropy_count, buf_size, buf
  pool[1] = static_cast<int>(entropy.size());
  std::memcpy(&pool[2], entropy.data(), entropy.size());
  if (::ioctl(random.get(), RNDADDENTROPY, pool.data()) < 0) return fail_errno("add entropy");
  // The key in use is still the template's. A kernel that was not ready before has just made itself one.
  if (::ioctl(random.get(), RNDRESEEDCRNG, nullptr) < 0) return fail_errno("reseed the kernel's random numbers");
  return {};
}

}  // namespace

int64_t monotonic_ns() { return read_clock(CLOCK_MONOTONIC); }

Result<> take_identity(const channel::ContainerConfig& config) {
  if (config.clock_offset_ns > 0) TRY(set_clock(config.clock_offset_ns));
  return config.entropy.empty() ? Result<>() : feed_entropy(config.entropy);
}

}  // namespace diatom::agent
