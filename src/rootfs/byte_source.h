#pragma once

#include <cstddef>
#include <span>

#include "base/error.h"

namespace diatom::rootfs {

// A stream of bytes that is read once, front to back. Not for use by two threads.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills a part of `out`, at least one byte; 0 = end of the stream. Blocks on the source.
  virtual Result<size_t> read(std::span<std::byte> out) = 0;
};

}  // namespace diatom::rootfs
