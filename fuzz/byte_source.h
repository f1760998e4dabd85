#pragma once

#include <algorithm>
#include <cstring>
#include <string_view>

#include "rootfs/byte_source.h"

namespace diatom::fuzz {

// Memory as a blob that arrives in pieces of at most `piece` bytes.
class MemorySource final : public rootfs::ByteSource {
 public:
  explicit MemorySource(std::string_view bytes, size_t piece = SIZE_MAX) : bytes_(bytes), piece_(piece) {}
  Result<size_t> read(std::span<std::byte> out) override {
    size_t size = std::min({out.size(), bytes_.size(), piece_});
    if (size > 0) std::memcpy(out.data(), bytes_.data(), size);
    bytes_.remove_prefix(size);
    return size;
  }

 private:
  std::string_view bytes_;
  size_t piece_;
};

}  // namespace diatom::fuzz
