#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "rootfs/byte_source.h"

namespace diatom::rootfs {

// Reads a stream a few blocks ahead in a thread of its own: so what brings the bytes (network, inflating) and what
// takes them (hashing, writing) run at the same time, also where there is one stream only. Holds at most 1 MiB.
class ReadAhead final : public ByteSource {
 public:
  explicit ReadAhead(ByteSource& source);  // borrowed, for the thread's use alone while this lives
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;
  ReadAhead(ReadAhead&&) = delete;
  ReadAhead& operator=(ReadAhead&&) = delete;
  ~ReadAhead() override;  // waits for the read that is under way

  // The next bytes, which stay until the next call. Empty = the end; after it, and after an error, the same again.
  Result<std::span<const std::byte>> next();
  Result<size_t> read(std::span<std::byte> out) override;  // the same for whoever wants a copy

 private:
  struct Block {
    std::vector<std::byte> bytes;
    size_t size = 0;
  };
  void work();
  // Reads until the block is full or the stream ends.
  Result<> fill(Block& block);

  ByteSource& source_;
  Block current_;                      // the reader's
  std::span<const std::byte> unread_;  // of it, by read()
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  std::deque<Block> ready_;
  std::deque<Block> free_;
  std::optional<Result<>> end_;  // the stream has ended, or failed
  bool stop_ = false;
  // Last: it uses all the others. None where the system allows no more threads.
  std::thread thread_;
};

}  // namespace diatom::rootfs
