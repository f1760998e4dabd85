#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace diatom::rootfs {

// Values by their number. They stay where they are, and growing copies none of them, so that a million take little more
// than their own size at every moment.
template <class T>
class Pool {
 public:
  T& operator[](uint32_t number) { return chunks_[number >> chunk_bits][number & (chunk - 1)]; }
  const T& operator[](uint32_t number) const { return chunks_[number >> chunk_bits][number & (chunk - 1)]; }
  uint32_t add() {
    if (size_ == chunks_.size() << chunk_bits) chunks_.push_back(std::make_unique<T[]>(chunk));
    return size_++;
  }
  uint32_t size() const { return size_; }

 private:
  static constexpr size_t chunk_bits = 10;
  static constexpr size_t chunk = size_t{1} << chunk_bits;
  std::vector<std::unique_ptr<T[]>> chunks_;
  uint32_t size_ = 0;
};

}  // namespace diatom::rootfs
