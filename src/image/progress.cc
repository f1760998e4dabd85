#include "image/progress.h"

namespace diatom::image {

namespace {
constexpr auto shortest_pause = std::chrono::milliseconds(50);
}

void Progress::bytes(const std::string& id, TransferProgress::Phase phase, uint64_t done, uint64_t total) {
  if (!handler_) return;
  std::lock_guard lock(mutex_);
  auto now = Clock::now();
  auto& last = last_[id];
  if (now - last < shortest_pause) return;
  last = now;
  handler_({.id = id, .phase = phase, .done_bytes = done, .total_bytes = total, .note = {}});
}

void Progress::step(TransferProgress progress) {
  if (!handler_) return;
  std::lock_guard lock(mutex_);
  handler_(progress);
}

}  // namespace diatom::image
