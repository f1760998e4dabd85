#include "rootfs/data_writer.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/platform/platform.h"
#include "rootfs/layer_index.h"

namespace diatom::rootfs {

namespace {
constexpr size_t buffer_bytes = 1 << 20;
constexpr uint64_t writeback_bytes = 2 << 20;
// A gap that is shorter is written as zeros: a hole would cost more than it saves.
constexpr uint64_t shortest_hole = 64 << 10;
constexpr uint64_t data_begin = first_data_block * block_size;
}  // namespace

DataWriter::DataWriter(int fd)
    : fd_(fd),
      buffer_(std::make_unique_for_overwrite<std::byte[]>(buffer_bytes)),
      flushed_(data_begin),
      written_back_(data_begin),
      file_begin_(data_begin) {}

uint64_t DataWriter::next_block() const { return file_begin_ / block_size; }

// A write ends where a multiple of the buffer's size does: the file system takes memory for the file in pieces that are
// as large as what comes at once, and aligned to that.
size_t DataWriter::room() const { return buffer_bytes - flushed_ % buffer_bytes - used_; }

Result<> DataWriter::flush() {
  TRY(pwrite_all(fd_, std::span(buffer_.get(), used_), flushed_));
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
    size_t part = std::min<size_t>(gap, room());
    std::memset(buffer_.get() + used_, 0, part);
    used_ += part;
    gap -= part;
    if (room() == 0) TRY(flush());
  }
  return {};
}

Result<> DataWriter::write(uint64_t offset, std::span<const std::byte> data) {
  if (file_begin_ + offset < flushed_ + used_)
    return fail(Errc::invalid_argument, "a sparse file whose parts are out of order");
  TRY(skip_to(file_begin_ + offset));
  while (!data.empty()) {
    size_t part = std::min(data.size(), room());
    std::memcpy(buffer_.get() + used_, data.data(), part);
    used_ += part;
    data = data.subspan(part);
    if (room() == 0) TRY(flush());
  }
  return {};
}

Result<> DataWriter::end_file(uint64_t size) {
  file_begin_ = (file_begin_ + size + block_size - 1) / block_size * block_size;
  return skip_to(file_begin_);
}

Result<uint64_t> DataWriter::finish() {
  TRY(flush());
  platform::start_writeback(fd_, written_back_);  // to the end, beside what the caller has left to do
  uint64_t bytes = file_begin_ == data_begin ? 0 : file_begin_;
  if (::ftruncate(fd_, static_cast<off_t>(bytes)) < 0) return fail_errno("set size of layer data");
  return bytes;
}

}  // namespace diatom::rootfs
