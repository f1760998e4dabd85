#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "rootfs/byte_source.h"

namespace diatom::rootfs {

// Reads a stream a few blocks ahead in a thread of its own: so what brings the bytes (network, inflating) and what
// takes them (hashing, writing) run at the same time, also where there is one stream only. Holds at most 4 MiB.
class ReadAhead final : public BlockSource {
 public:
  enum class Priority { normal, low };  // of the thread
  // `source` is borrowed, for the thread's use alone while this lives.
  explicit ReadAhead(ByteSource& source, Priority priority = Priority::normal);
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;
  ReadAhead(ReadAhead&&) = delete;
  ReadAhead& operator=(ReadAhead&&) = delete;
  ~ReadAhead() override;  // waits for the read that is under way

  Result<std::span<const std::byte>> next() override;

 private:
  struct Block {
    std::unique_ptr<std::byte[]> bytes;
    size_t size = 0;

    static Block make();
    std::span<const std::byte> content() const { return {bytes.get(), size}; }
  };
  void work(Priority priority);
  // Reads until the block is full or the stream ends.
  Result<> fill(Block& block);

  ByteSource& source_;
  Block current_;  // the reader's
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  std::deque<Block> ready_;
  std::vector<Block> free_;
  std::optional<Result<>> end_;  // the stream has ended, or failed
  bool stop_ = false;
  // Last: it uses all the others. None where the system allows no more threads.
  std::thread thread_;
};

}  // namespace diatom::rootfs
