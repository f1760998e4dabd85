#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "diatom/images.h"

namespace diatom::image {

// Passes progress on: one call at a time, and not more often than people can look. For several threads.
class Progress {
 public:
  explicit Progress(const ProgressHandler& handler) : handler_(handler) {}

  // Bytes on their way: may be left out.
  void bytes(const std::string& id, TransferProgress::Phase phase, uint64_t done, uint64_t total);
  // A step: always told.
  void step(TransferProgress progress);

 private:
  using Clock = std::chrono::steady_clock;
  const ProgressHandler& handler_;
  std::mutex mutex_;
  std::map<std::string, Clock::time_point> last_;  // guarded by mutex_; of each blob
};

}  // namespace diatom::image
