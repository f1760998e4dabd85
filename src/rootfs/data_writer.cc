#include "rootfs/data_writer.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/platform/platform.h"
#include "rootfs/layer_index.h"

namespace diatom::rootfs {

namespace {
constexpr size_t buffer_bytes = 1 << 20;
constexpr uint64_t writeback_bytes = 8 << 20;
// A gap that is shorter is written as zeros: a hole would cost more than it saves.
constexpr uint64_t shortest_hole = 64 << 10;
constexpr uint64_t data_begin = first_data_block * block_size;
}  // namespace

DataWriter::DataWriter(int fd)
    : fd_(fd), buffer_(buffer_bytes), flushed_(data_begin), written_back_(data_begin), file_begin_(data_begin) {}

uint64_t DataWriter::next_block() const { return file_begin_ / block_size; }

Result<> DataWriter::flush() {
  TRY(pwrite_all(fd_, std::span(buffer_).first(used_), flushed_));
  moved_to(flushed_ + used_);
  used_ = 0;
  return {};
}

// The disk writes while the rest of the layer is still on its way.
void DataWriter::moved_to(uint64_t position) {
  flushed_ = position;
  if (flushed_ - written_back_ < writeback_bytes) return;
  platform::start_writeback(fd_, written_back_, flushed_ - written_back_);
  written_back_ = flushed_;
}

Result<> DataWriter::skip_to(uint64_t position) {
  uint64_t gap = position - (flushed_ + used_);
  if (gap >= shortest_hole) {
    TRY(flush());
    flushed_ = position;
    return {};
  }
  filled_ += gap;
  while (gap > 0) {
    if (used_ == buffer_.size()) TRY(flush());
    size_t part = std::min<size_t>(gap, buffer_.size() - used_);
    std::memset(buffer_.data() + used_, 0, part);
    used_ += part;
    gap -= part;
  }
  return {};
}

Result<> DataWriter::write(uint64_t offset, std::span<const std::byte> data) {
  if (file_begin_ + offset < flushed_ + used_)
    return fail(Errc::invalid_argument, "a sparse file whose parts are out of order");
  TRY(skip_to(file_begin_ + offset));
  while (!data.empty()) {
    if (used_ == 0 && data.size() >= buffer_.size()) {  // large: straight from the caller's memory
      TRY(pwrite_all(fd_, data, flushed_));
      moved_to(flushed_ + data.size());
      return {};
    }
    size_t part = std::min(data.size(), buffer_.size() - used_);
    std::memcpy(buffer_.data() + used_, data.data(), part);
    used_ += part;
    data = data.subspan(part);
    if (used_ == buffer_.size()) TRY(flush());
  }
  return {};
}

Result<> DataWriter::end_file(uint64_t size) {
  file_begin_ = (file_begin_ + size + block_size - 1) / block_size * block_size;
  return skip_to(file_begin_);
}

Result<uint64_t> DataWriter::finish() {
  TRY(flush());
  uint64_t bytes = file_begin_ == data_begin ? 0 : file_begin_;
  if (::ftruncate(fd_, static_cast<off_t>(bytes)) < 0) return fail_errno("set size of layer data");
  return bytes;
}

}  // namespace diatom::rootfs
