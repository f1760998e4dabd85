#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"
#include "tar/entry.h"

namespace diatom::tar {

// Writes a tar that every tar reads (pax, POSIX.1-2001), in large blocks. What a ustar header has no room for goes into
// a pax one; sparse files are GNU's version 1.0. Not for use by two threads.
class Writer {
 public:
  using Sink = std::function<Result<>(std::span<const std::byte>)>;
  explicit Writer(int fd);  // borrowed
  explicit Writer(Sink sink);

  // The next entry. The data of a regular file that has any follow: as many bytes as it has, or as its extents have.
  Result<> add(const Entry& entry);
  Result<> write(std::span<const std::byte> data);
  // That part of a file as data; what it does not have any more is zeros. Returns how much of it was there.
  Result<uint64_t> copy(int fd, uint64_t offset, uint64_t bytes);
  Result<> finish();  // the end marker, and everything written

  uint64_t bytes() const { return written_ + used_; }  // of the tar so far

 private:
  Result<> put(std::span<const std::byte> data);
  Result<> put_zeros(uint64_t bytes);
  Result<> flush();

  Sink sink_;
  std::unique_ptr<std::byte[]> buffer_;
  size_t used_ = 0;
  uint64_t written_ = 0;
  uint64_t left_ = 0;     // data that the entry is still owed
  uint64_t padding_ = 0;  // behind them
};

}  // namespace diatom::tar
