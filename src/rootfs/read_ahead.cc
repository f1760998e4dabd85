#include "rootfs/read_ahead.h"

#include <algorithm>
#include <system_error>

namespace diatom::rootfs {

namespace {
constexpr size_t block_bytes = 256 << 10;
constexpr size_t blocks = 16;
}  // namespace

ReadAhead::ReadAhead(ByteSource& source) : source_(source) {
  current_.bytes.resize(block_bytes);
  try {
    thread_ = std::thread([this] { work(); });
  } catch (const std::system_error&) {
    return;  // it is read when it is asked for
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

Result<> ReadAhead::fill(Block& block) {
  block.size = 0;
  while (block.size < block.bytes.size()) {
    size_t got = TRY(source_.read(std::span(block.bytes).subspan(block.size)));
    if (got == 0) break;
    block.size += got;
  }
  return {};
}

void ReadAhead::work() {
  size_t made = 1;  // current_
  for (;;) {
    Block block;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stop_ || !free_.empty() || made < blocks; });
      if (stop_) return;
      if (!free_.empty()) {
        block = std::move(free_.front());
        free_.pop_front();
      } else {
        ++made;
      }
    }
    block.bytes.resize(block_bytes);
    auto filled = fill(block);
    bool last = !filled || block.size < block.bytes.size();
    {
      std::lock_guard lock(mutex_);
      if (block.size > 0) ready_.push_back(std::move(block));
      if (last) end_ = std::move(filled);
    }
    changed_.notify_one();
    if (last) return;
  }
}

Result<size_t> ReadAhead::read(std::span<std::byte> out) {
  if (unread_.empty()) unread_ = TRY(next());
  size_t size = std::min(out.size(), unread_.size());
  std::copy_n(unread_.begin(), size, out.begin());
  unread_ = unread_.subspan(size);
  return size;
}

Result<std::span<const std::byte>> ReadAhead::next() {
  if (!thread_.joinable()) {
    TRY(fill(current_));
    return std::span<const std::byte>(current_.bytes).first(current_.size);
  }
  {
    std::unique_lock lock(mutex_);
    if (current_.size > 0) free_.push_back(std::move(current_));
    current_ = {};
    changed_.notify_one();
    changed_.wait(lock, [&] { return !ready_.empty() || end_; });
    if (ready_.empty()) {
      if (!*end_) return std::unexpected(end_->error());
      return std::span<const std::byte>();
    }
    current_ = std::move(ready_.front());
    ready_.pop_front();
  }
  return std::span<const std::byte>(current_.bytes).first(current_.size);
}

}  // namespace diatom::rootfs
