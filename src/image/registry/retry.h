// When to try again, and after how long.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "base/cancel.h"

namespace diatom::image {

// 408, 429 and what a server says of itself that it may pass: 500, 502, 503, 504.
bool is_transient_status(long status);

// Retry-After (RFC 9110, 10.2.3): seconds, or a date. A date in the past is 0. Empty for anything else.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view text, int64_t now_unix_seconds);

// Before attempt `attempt` + 1, counted from 0: doubling from 200 ms to 20 s, of which `random` takes up to a half, so
// that many clients do not come back together.
std::chrono::milliseconds backoff(unsigned attempt, uint32_t random);

struct RetryLimits {
  unsigned attempts = 8;              // in a row without progress
  unsigned unreachable_attempts = 4;  // of those that found nobody, before anything has ever come
  std::chrono::milliseconds total = std::chrono::minutes(2);  // without progress
};

// The patience for one request or one blob: it runs out after a number of attempts, or a time, without progress. Not
// for use by two threads.
class RetryBudget {
 public:
  explicit RetryBudget(const CancelToken& cancel, RetryLimits limits = {});  // `cancel` is borrowed
  void progress();
  // Waits until it is time to try again: as long as the server wants, or a growing pause. False when patience has run
  // out, or would before the server wants to be asked. Errors: cancelled only.
  Result<bool> wait(std::optional<std::chrono::seconds> retry_after, bool unreachable = false);

 private:
  using Clock = std::chrono::steady_clock;
  const CancelToken* cancel_;
  RetryLimits limits_;
  Clock::time_point since_ = Clock::now();  // the last progress
  unsigned attempts_ = 0;
  bool had_progress_ = false;
};

// Tells a connection that has died from a slow one, by the time that was spent on waiting for it: a reader that is busy
// elsewhere, or pauses, is not the connection's fault.
class StallWatch {
 public:
  StallWatch(std::chrono::milliseconds patience, uint64_t least_bytes)
      : patience_(patience), least_bytes_(least_bytes) {}
  void moved(uint64_t bytes) {
    bytes_ += bytes;
    if (bytes_ < least_bytes_) return;
    bytes_ = 0;
    waited_ = {};
  }
  void waited(std::chrono::steady_clock::duration time) { waited_ += time; }
  bool stalled() const { return waited_ >= patience_; }

 private:
  std::chrono::milliseconds patience_;
  uint64_t least_bytes_;
  uint64_t bytes_ = 0;
  std::chrono::steady_clock::duration waited_{};
};

}  // namespace diatom::image
