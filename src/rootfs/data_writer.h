#pragma once

#include <memory>
#include <span>

#include "base/file.h"

namespace diatom::rootfs {

// Writes the data file of a layer front to back: a block that is nobody's (first_data_block), then contents of one file
// after the other, each beginning on a block, holes left as holes. Small files share one large write.
class DataWriter {
 public:
  explicit DataWriter(int fd);  // borrowed; an empty file

  uint64_t next_block() const;  // where the next file begins
  // `offset` is within the file that began last; it never goes back.
  Result<> write(uint64_t offset, std::span<const std::byte> data);
  Result<> end_file(uint64_t size);
  Result<uint64_t> finish();  // the length of the data file; 0 where no file had contents
  // Zeros written for gaps that were too short for a hole: what a tar of a few bytes can make a disk hold.
  uint64_t filled_bytes() const { return filled_; }

 private:
  Result<> skip_to(uint64_t position);
  size_t room() const;  // of the buffer
  Result<> flush();
  void moved_to(uint64_t position);  // everything before it has been written

  int fd_;
  std::unique_ptr<std::byte[]> buffer_;
  size_t used_ = 0;
  uint64_t flushed_;       // position of the buffer's first byte
  uint64_t written_back_;  // up to where the disk has been told to begin
  uint64_t file_begin_;
  uint64_t filled_ = 0;
};

}  // namespace diatom::rootfs
