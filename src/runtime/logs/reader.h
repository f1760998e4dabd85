#pragma once

#include "runtime/logs/files.h"
#include "runtime/logs/record.h"

namespace diatom {

// Reads a log from its oldest record on, in the order in which it was written, also while it is written and rotated by
// another process. Files that it has open are read to their end whatever becomes of their names. Never blocks but on
// the disk; to wait for more: platform::FileWatch on the file and its folder. Not for use by two threads.
class LogReader {
 public:
  // A log that is not there yet is an empty one.
  static Result<LogReader> open(const fs::path& path);

  // The next record; nothing when there is none for now. Lines that are no records are passed over.
  Result<std::optional<LogRecord>> next();

  // Where the next record begins.
  LogPosition position() const { return {generation_, offset_ + begin_}; }
  // To a position of a writer or a reader of this log. When its file is gone, the oldest that is there is read, and
  // what comes first is a record that says so (`gap`).
  Result<> seek(LogPosition position);
  Result<> seek_end();
  // To the last `lines` lines, of both streams together; what is left of a line at the end counts as one.
  Result<> seek_tail(uint64_t lines);

  // Opens all that there is: it can be read then, even when it is rotated away or removed.
  Result<> hold_rest();

  uint64_t malformed_lines() const { return malformed_; }
  uint64_t files_begun() const { return files_begun_; }  // a change tells that there is another file to watch

 private:
  explicit LogReader(fs::path path) : path_(std::move(path)) {}
  void begin(LogFile file, uint64_t offset);
  Result<std::optional<std::string_view>> next_line();
  Result<bool> next_file();
  Result<bool> find_lines(const LogFile& file, uint64_t& lines, bool& newest, uint64_t& offset) const;

  fs::path path_;
  std::vector<LogFile> held_;  // opened ahead
  UniqueFd fd_;                // none while there is no file
  uint64_t generation_ = 0;
  uint64_t offset_ = 0;  // of the file: where the buffer begins
  std::string buffer_;
  size_t begin_ = 0;           // of the next line, in the buffer
  bool in_long_line_ = false;  // its end is yet to come, and it is longer than any record
  bool replaced_ = false;      // there is a newer file: nothing more will come
  bool gap_ = false;           // to be told
  uint64_t malformed_ = 0;
  uint64_t files_begun_ = 0;
};

}  // namespace diatom
