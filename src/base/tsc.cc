#include "base/tsc.h"

#include <chrono>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace diatom {

#if defined(__x86_64__)

namespace {

using Clock = std::chrono::steady_clock;

struct Sample {
  uint64_t ticks = __rdtsc();
  Clock::time_point time = Clock::now();
};

const Sample program_start;

}  // namespace

uint64_t tsc_khz() {
  using namespace std::chrono_literals;
  Sample now;
  while (now.time - program_start.time < 10ms) now = Sample();
  auto elapsed = std::chrono::duration_cast<std::chrono::nanoseconds>(now.time - program_start.time).count();
  // In 128 bits: ticks since the start times a million overflows 64 bits after a few hours.
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>(Wide{now.ticks - program_start.ticks} * 1'000'000 / static_cast<uint64_t>(elapsed));
}

#else

uint64_t tsc_khz() { return 0; }

#endif

}  // namespace diatom
