#pragma once

#include <algorithm>
#include <cstring>
#include <string>

#include "rootfs/byte_source.h"

namespace diatom::test {

// Bytes in memory that come in pieces of at most `piece`, as a socket delivers them.
class MemorySource final : public rootfs::ByteSource {
 public:
  explicit MemorySource(std::string bytes, size_t piece = SIZE_MAX) : bytes_(std::move(bytes)), piece_(piece) {}
  Result<size_t> read(std::span<std::byte> out) override {
    size_t size = std::min({out.size(), piece_, bytes_.size() - at_});
    std::memcpy(out.data(), bytes_.data() + at_, size);
    at_ += size;
    return size;
  }

 private:
  std::string bytes_;
  size_t piece_;
  size_t at_ = 0;
};

}  // namespace diatom::test
