#include "runtime/logs/reader.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace diatom {

namespace {

constexpr size_t read_block = 64 << 10;

Result<size_t> read_at(int fd, std::span<char> out, uint64_t offset) {
  ssize_t got = 0;
  do {
    got = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
  } while (got < 0 && errno == EINTR);
  if (got < 0) return fail_errno("read log");
  return static_cast<size_t>(got);
}

// The whole lines of a file, from its last to its first.
class LinesFromEnd {
 public:
  LinesFromEnd(int fd, uint64_t end) : fd_(fd), begin_(end) {}

  // Where the next line ends (behind its '\n').
  uint64_t end() const { return begin_ + size_; }
  // The line without its end; nothing at the file's beginning. One that is longer than any record comes as its end
  // only, and more than once.
  Result<std::optional<std::string_view>> next() {
    for (;;) {
      // The line's own end is the last byte, but for what is left of one at the file's end.
      size_t last = size_ > 0 ? std::string_view(buffer_).substr(0, size_ - 1).rfind('\n') : std::string_view::npos;
      if (last != std::string_view::npos) return take(last + 1);
      if (begin_ == 0) return size_ > 0 ? take(0) : std::nullopt;
      if (size_ > longest_log_record) return take(0);
      TRY(read_before());
    }
  }

 private:
  std::optional<std::string_view> take(size_t from) {
    std::string_view line = std::string_view(buffer_).substr(from, size_ - from);
    size_ = from;
    if (line.ends_with('\n')) line.remove_suffix(1);
    return line;
  }
  Result<> read_before() {
    auto bytes = static_cast<size_t>(std::min<uint64_t>(read_block, begin_));
    std::string front(bytes, '\0');
    size_t got = TRY(read_at(fd_, front, begin_ - bytes));
    if (got < bytes) return fail(Errc::internal, "read log: it was cut short meanwhile");
    buffer_.resize(size_);
    buffer_.insert(0, front);
    size_ += bytes;
    begin_ -= bytes;
    return {};
  }

  int fd_;
  uint64_t begin_;  // of the buffer, in the file
  std::string buffer_;
  size_t size_ = 0;  // of what is left in the buffer
};

}  // namespace

Result<LogReader> LogReader::open(const fs::path& path) {
  LogReader reader(path);
  static_cast<void>(TRY(reader.next_file()));
  return reader;
}

void LogReader::begin(LogFile file, uint64_t offset) {
  fd_ = std::move(file.fd);
  generation_ = file.generation;
  offset_ = offset;
  buffer_.clear();
  begin_ = 0;
  in_long_line_ = false;
  replaced_ = false;
  ++files_begun_;
}

Result<std::optional<LogRecord>> LogReader::next() {
  for (;;) {
    if (std::exchange(gap_, false)) {
      LogRecord gap;
      gap.gap = true;
      return std::optional(std::move(gap));
    }
    auto line = TRY(next_line());
    if (!line) {
      if (TRY(next_file())) continue;
      return std::optional<LogRecord>();
    }
    auto record = decode_log_record(*line);
    if (!record) ++malformed_;
    if (record && !record->generation) return record;
  }
}

Result<std::optional<std::string_view>> LogReader::next_line() {
  if (!fd_) return std::optional<std::string_view>();
  size_t looked_at = begin_;
  for (;;) {
    if (size_t end = buffer_.find('\n', looked_at); end != std::string::npos) {
      auto line = std::string_view(buffer_).substr(begin_, end - begin_);
      begin_ = end + 1;
      if (!std::exchange(in_long_line_, false)) return std::optional(line);
      ++malformed_;
      looked_at = begin_;
      continue;
    }
    offset_ += begin_;
    buffer_.erase(0, std::exchange(begin_, 0));
    if (buffer_.size() > longest_log_record) {
      in_long_line_ = true;
      offset_ += buffer_.size();
      buffer_.clear();
    }
    looked_at = buffer_.size();
    buffer_.resize(looked_at + read_block);
    auto got = read_at(fd_.get(), std::span(buffer_).subspan(looked_at), offset_ + looked_at);
    buffer_.resize(looked_at + got.value_or(0));
    if (TRY(got) > 0) continue;
    // Half a record is read anew when there is more: its writer may take it back.
    buffer_.clear();
    return std::optional<std::string_view>();
  }
}

// At the end of a file. True: there is more to read.
Result<bool> LogReader::next_file() {
  if (!fd_) {
    auto files = TRY(open_log_files(path_));
    if (files.empty()) return false;
    begin(std::move(files.back()), 0);
    return true;
  }
  if (is_log_file(path_, fd_.get())) return false;
  auto files = TRY(open_log_files(path_));
  auto is_past = [this](const LogFile& file) { return file.generation <= generation_; };
  std::erase_if(files, is_past);
  std::erase_if(held_, is_past);
  if (files.empty() && held_.empty()) return false;
  // The writer has gone on to another file: what it wrote to this one between the last look and now comes first.
  if (!std::exchange(replaced_, true)) return true;
  if (TRY(file_size(fd_.get())) > offset_ || in_long_line_) ++malformed_;
  std::ranges::move(held_, std::back_inserter(files));
  held_.clear();
  auto oldest = std::ranges::min_element(files, {}, &LogFile::generation);
  gap_ = oldest->generation > generation_ + 1;
  begin(std::move(*oldest), 0);
  for (LogFile& file : files)
    if (file.fd && file.generation > generation_) held_.push_back(std::move(file));
  return true;
}

Result<> LogReader::hold_rest() {
  for (LogFile& file : TRY(open_log_files(path_)))
    if (file.generation > generation_ && std::ranges::find(held_, file.generation, &LogFile::generation) == held_.end())
      held_.push_back(std::move(file));
  return {};
}

Result<> LogReader::seek(LogPosition position) {
  auto files = TRY(open_log_files(path_));
  std::erase_if(files, [&](const LogFile& file) { return file.generation < position.generation; });
  auto oldest = std::ranges::min_element(files, {}, &LogFile::generation);
  if (oldest == files.end())
    return fail(Errc::invalid_argument, "read log " + path_.string() + ": it does not go as far as that");
  gap_ = oldest->generation > position.generation;
  begin(std::move(*oldest), gap_ ? 0 : position.offset);
  return {};
}

Result<> LogReader::seek_end() { return seek_tail(0); }

// Whether the last `lines` lines all begin in this file; then, where. Else, how many are left to find.
Result<bool> LogReader::find_lines(const LogFile& file, uint64_t& lines, bool& newest, uint64_t& offset) const {
  LinesFromEnd all(file.fd.get(), TRY(file_size(file.fd.get())));
  for (;;) {
    offset = all.end();
    auto line = TRY(all.next());
    if (!line) return false;
    auto record = decode_log_record(*line);
    if (!record || record->generation) continue;
    bool whole = record->bytes.ends_with('\n');
    if (lines == 0 && (whole || newest)) return true;
    if (whole || newest) --lines;
    newest = false;
  }
}

Result<> LogReader::seek_tail(uint64_t lines) {
  auto files = TRY(open_log_files(path_));
  if (files.empty()) return {};
  std::ranges::sort(files, std::ranges::greater(), &LogFile::generation);
  gap_ = false;
  bool newest = true;  // no record seen yet
  for (LogFile& file : files) {
    uint64_t offset = 0;
    if (TRY(find_lines(file, lines, newest, offset))) {
      begin(std::move(file), offset);
      return {};
    }
  }
  begin(std::move(files.back()), 0);
  return {};
}

}  // namespace diatom
