#pragma once

#include <atomic>

#include "base/error.h"

namespace diatom {

// Asks long work to end early. Set from a signal handler or another thread; workers look at it between blocks.
class CancelToken {
 public:
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
  Result<> check() const {
    if (cancelled()) return fail(Errc::cancelled, "interrupted");
    return {};
  }

 private:
  static_assert(std::atomic<bool>::is_always_lock_free, "set from signal handlers");
  std::atomic<bool> cancelled_{false};
};

}  // namespace diatom
