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
  uint64_t ticks = 0;
  Clock::time_point time;
};

// Whoever is interrupted between the two readings reads a rate that is wrong for as long as the guest lives; and for
// all that are restored from it.
Sample take_sample() {
  Sample best;
  uint64_t least = UINT64_MAX;
  for (int attempt = 0; attempt < 8; ++attempt) {
    uint64_t before = __rdtsc();
    Clock::time_point time = Clock::now();
    uint64_t taken = __rdtsc() - before;
    if (taken >= least) continue;
    least = taken;
    best = {before + taken / 2, time};
  }
  return best;
}

const Sample program_start = take_sample();

}  // namespace

uint64_t tsc_khz() {
  using namespace std::chrono_literals;
  Sample now = take_sample();
  while (now.time - program_start.time < 10ms) now = take_sample();
  auto elapsed = std::chrono::duration_cast<std::chrono::nanoseconds>(now.time - program_start.time).count();
  // In 128 bits: ticks since the start times a million overflows 64 bits after a few hours.
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>(Wide{now.ticks - program_start.ticks} * 1'000'000 / static_cast<uint64_t>(elapsed));
}

#else

uint64_t tsc_khz() { return 0; }

#endif

}  // namespace diatom
