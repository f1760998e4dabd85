#include "rootfs/read_ahead.h"

#include <system_error>
#include <utility>

#include "base/platform/platform.h"

namespace diatom::rootfs {

namespace {
constexpr size_t block_bytes = 256 << 10;
constexpr size_t blocks = 16;
// Whoever had to wait for room goes on when so many blocks are free: for each one, the threads would take turns.
constexpr size_t batch = 4;
}  // namespace

ReadAhead::ReadAhead(ByteSource& source, Priority priority) : source_(source) {
  try {
    thread_ = std::thread([this, priority] { work(priority); });
  } catch (const std::system_error&) {
    current_ = Block::make();  // it is read when it is asked for
  }
}

ReadAhead::~ReadAhead() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

// Not initialised: memory that is not used stays away.
ReadAhead::Block ReadAhead::Block::make() { return {std::make_unique_for_overwrite<std::byte[]>(block_bytes), 0}; }

Result<> ReadAhead::fill(Block& block) {
  block.size = 0;
  while (block.size < block_bytes) {
    size_t got = TRY(source_.read({block.bytes.get() + block.size, block_bytes - block.size}));
    if (got == 0) break;
    block.size += got;
  }
  return {};
}

void ReadAhead::work(Priority priority) {
  if (priority == Priority::low) platform::lower_thread_priority();
  size_t made = 0;
  std::vector<Block> unused;  // at the end: given back here, where nobody waits for it
  for (;;) {
    Block block;
    {
      std::unique_lock lock(mutex_);
      if (free_.empty() && made == blocks) changed_.wait(lock, [&] { return stop_ || free_.size() >= batch; });
      if (stop_) return;
      if (!free_.empty()) {  // the one that was used last: a cache may have it yet
        block = std::move(free_.back());
        free_.pop_back();
      }
    }
    if (block.bytes == nullptr) {
      block = Block::make();
      ++made;
    }
    auto filled = fill(block);
    bool last = !filled || block.size < block_bytes;
    {
      std::lock_guard lock(mutex_);
      if (block.size > 0) ready_.push_back(std::move(block));
      if (last) {
        end_ = std::move(filled);
        unused.swap(free_);
      }
    }
    changed_.notify_one();
    if (last) return;
  }
}

Result<std::span<const std::byte>> ReadAhead::next() {
  if (!thread_.joinable()) {
    TRY(fill(current_));
    return current_.content();
  }
  Block read = std::exchange(current_, {});
  std::unique_lock lock(mutex_);
  if (read.bytes != nullptr && !end_) free_.push_back(std::move(read));
  if (free_.size() == batch) changed_.notify_one();
  changed_.wait(lock, [&] { return !ready_.empty() || end_; });
  if (ready_.empty()) {
    if (!*end_) return std::unexpected(end_->error());
    return std::span<const std::byte>();
  }
  current_ = std::move(ready_.front());
  ready_.pop_front();
  return current_.content();
}

}  // namespace diatom::rootfs
