#pragma once

#include <span>
#include <string>

#include "base/file.h"

namespace diatom {

// What the guest's kernel printed, in a file that a hostile guest cannot make grow without end: the beginning (the
// boot) and the end (the last words) are kept, the middle is lost.
class ConsoleLog {
 public:
  static constexpr uint64_t half_bytes = 512 << 10;

  static Result<ConsoleLog> create(const fs::path& path);
  // Writing fails silently: a full disk must not end the container.
  void append(std::span<const std::byte> data);
  // The last lines, at most `count`, or the kernel's panic if there was one; each without its line end and unprintable
  // characters.
  std::string tail(size_t count) const;

 private:
  explicit ConsoleLog(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
  uint64_t written_ = 0;  // bytes that came so far
  std::string last_;      // the last 4 KiB
};

}  // namespace diatom
