#pragma once

#include <memory>
#include <span>

#include "base/file.h"
#include "runtime/logs/record.h"

namespace diatom {

struct LogOptions {
  uint64_t max_bytes = 100 << 20;  // of one file; 0: one file that grows without end
  unsigned max_files = 5;          // with the newest; at least 1, at most 100
};

// Writes what a container prints, at once: a reader sees it when append() has returned. A log has one writer at a time.
// Not for use by two threads.
class LogWriter {
 public:
  // Goes on behind what an earlier writer has left, also when it was killed in the middle of a record.
  static Result<LogWriter> open(const fs::path& path, const LogOptions& options);

  // Each line becomes a record, and so does what is left of one at the end. Never fails: a full disk must not end the
  // container. What could not be written is counted, and a record says how much it was as soon as there is room.
  void append(channel::Output stream, std::span<const std::byte> data, int64_t time_ns);
  LogPosition position() const { return {generation_, size_}; }  // of the next record
  uint64_t lost_bytes() const { return lost_bytes_; }            // not told by a record yet
  Result<> sync();                                               // what was written is on the disk

 private:
  LogWriter(fs::path path, const LogOptions& options);
  Result<> open_newest();
  Result<> repair_tail();
  void flush();
  bool write_out(std::string_view records);
  void count_lost(std::string_view records);
  void rotate();
  Result<> begin_file();

  fs::path path_;
  LogOptions options_;
  UniqueFd fd_;
  uint64_t generation_ = 0;
  uint64_t size_ = 0;       // of the file
  uint64_t rotate_at_ = 0;  // a size
  uint64_t lost_bytes_ = 0;
  bool torn_ = false;  // the file does not end with a whole record
  std::unique_ptr<char[]> buffer_;
  size_t buffered_ = 0;
};

}  // namespace diatom
