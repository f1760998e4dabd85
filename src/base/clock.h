#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

namespace diatom {

// Nanoseconds since 1970 UTC.
inline int64_t wall_clock_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// For poll(2): the milliseconds from now to a time, rounded up; without one, no end.
inline int poll_timeout_ms(std::optional<int64_t> until_ns) {
  constexpr int64_t ns_per_ms = 1'000'000;
  if (!until_ns) return -1;
  return static_cast<int>(std::clamp<int64_t>((*until_ns - wall_clock_ns()) / ns_per_ms + 1, 0, 1 << 30));
}

}  // namespace diatom
