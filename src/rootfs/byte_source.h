#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/error.h"

namespace diatom::rootfs {

// A stream of bytes that is read once, front to back. Not for use by two threads.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills a part of `out`, at least one byte; 0 = end of the stream. Blocks on the source.
  virtual Result<size_t> read(std::span<std::byte> out) = 0;
};

// The same, for bytes that are in memory already.
class BlockSource {
 public:
  virtual ~BlockSource() = default;
  // The next bytes, which stay until the next call. Empty = the end, also when asked again.
  virtual Result<std::span<const std::byte>> next() = 0;
};

// A stream of bytes as blocks, read when they are asked for.
class Blocks final : public BlockSource {
 public:
  explicit Blocks(ByteSource& source) : source_(source), block_(block_bytes) {}  // borrowed
  Result<std::span<const std::byte>> next() override {
    return std::span<const std::byte>(block_).first(TRY(source_.read(block_)));
  }

 private:
  static constexpr size_t block_bytes = 256 << 10;
  ByteSource& source_;
  std::vector<std::byte> block_;
};

}  // namespace diatom::rootfs
