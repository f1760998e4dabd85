#include "runtime/logs/writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/clock.h"
#include "base/text.h"
#include "base/time_text.h"
#include "runtime/logs/files.h"

namespace diatom {

namespace {

constexpr size_t write_block = 256 << 10;
constexpr unsigned most_files = 100;

fs::path next_file(const fs::path& path) { return path.string() + ".new"; }

// The first record's bytes: a line with its end, or as much as fits, without cutting a character in two.
size_t record_size(std::string_view text) {
  size_t most = std::min(text.size(), log_line_bytes);
  const void* end = std::memchr(text.data(), '\n', most);
  if (end != nullptr) return static_cast<size_t>(static_cast<const char*>(end) - text.data()) + 1;
  if (most == text.size()) return most;
  for (size_t back = 1; back <= 3; ++back) {
    size_t size = utf8_character_size(text.substr(most - back));
    if (size > 0) return size > back ? most - back : most;
  }
  return most;
}

}  // namespace

LogWriter::LogWriter(fs::path path, const LogOptions& options)
    : path_(std::move(path)),
      options_(options),
      buffer_(std::make_unique_for_overwrite<char[]>(write_block + longest_log_record)) {
  options_.max_files = std::clamp(options.max_files, 1u, most_files);
  rotate_at_ = options.max_bytes > 0 ? options.max_bytes : UINT64_MAX;
}

Result<LogWriter> LogWriter::open(const fs::path& path, const LogOptions& options) {
  LogWriter writer(path, options);
  TRY(writer.open_newest());
  TRY(writer.repair_tail());
  return writer;
}

Result<> LogWriter::open_newest() {
  // A writer that was killed while it rotated had the next file ready.
  std::error_code error;
  if (!fs::exists(path_, error) && fs::exists(next_file(path_), error))
    if (::rename(next_file(path_).c_str(), path_.c_str()) < 0) return fail_errno("rename to " + path_.string());
  fd_ = TRY(open_file(path_, O_RDWR | O_APPEND | O_CREAT));
  for (const LogFile& file : TRY(open_log_files(path_)))
    if (is_log_file(path_, file.fd.get())) generation_ = file.generation;
  size_ = TRY(file_size(fd_.get()));
  return {};
}

// What a killed writer or a power cut left of a record gets a line end, so that the next one is a line of its own.
Result<> LogWriter::repair_tail() {
  std::byte last{'\n'};
  if (size_ > 0) TRY(pread_all(fd_.get(), std::span(&last, 1), size_ - 1));
  torn_ = last != std::byte{'\n'};
  if (torn_) write_out("\n");
  // An empty file that is not the first: a power cut took its head.
  if (size_ == 0 && generation_ > 0)
    write_out(
        encode_log_note(channel::Output::stdout_stream, format_rfc3339(wall_clock_ns()), "generation", generation_));
  return {};
}

void LogWriter::append(channel::Output stream, std::span<const std::byte> data, int64_t time_ns) {
  std::string time = format_rfc3339(time_ns);
  if (lost_bytes_ > 0) {
    std::string note = encode_log_note(stream, time, "lost_bytes", std::exchange(lost_bytes_, 0));
    std::memcpy(buffer_.get(), note.data(), note.size());
    buffered_ = note.size();
  }
  std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
  while (!text.empty()) {
    size_t size = record_size(text);
    char* end = encode_log_record(buffer_.get() + buffered_, stream, text.substr(0, size), time);
    buffered_ = static_cast<size_t>(end - buffer_.get());
    text.remove_prefix(size);
    if (buffered_ >= write_block || size_ + buffered_ >= rotate_at_) flush();
  }
  flush();
}

Result<> LogWriter::sync() { return sync_fd(fd_.get()); }

void LogWriter::flush() {
  std::string_view records(buffer_.get(), std::exchange(buffered_, 0));
  if (records.empty()) return;
  if (torn_ && !write_out("\n")) return count_lost(records);
  uint64_t begin = size_;
  if (!write_out(records)) {
    // Whole records stay; what there is of the next one goes, or else it is ended when there is room.
    std::string_view written = records.substr(0, size_ - begin);
    size_t whole = written.rfind('\n') + 1;
    torn_ = whole < written.size() && ::ftruncate(fd_.get(), static_cast<off_t>(begin + whole)) < 0;
    if (!torn_) size_ = begin + whole;
    count_lost(records.substr(whole));
  }
  if (size_ >= rotate_at_) rotate();
}

bool LogWriter::write_out(std::string_view records) {
  while (!records.empty()) {
    ssize_t put = ::write(fd_.get(), records.data(), records.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    size_ += static_cast<uint64_t>(put);
    records.remove_prefix(static_cast<size_t>(put));
    torn_ = false;
  }
  return true;
}

void LogWriter::count_lost(std::string_view records) {
  while (!records.empty()) {
    size_t end = records.find('\n');
    auto record = decode_log_record(records.substr(0, end));
    if (record) lost_bytes_ += record->bytes.size() + record->lost_bytes;
    records.remove_prefix(end + 1);
  }
}

void LogWriter::rotate() {
  // What fails (a full disk, most likely) is tried again when the file has grown by some more.
  if (!begin_file()) rotate_at_ = size_ + std::max<uint64_t>(options_.max_bytes / 16, 1);
}

// The next file has its head before it has its name: there is no moment at which a crash would lose the count.
Result<> LogWriter::begin_file() {
  fs::path name = next_file(path_);
  TemporaryPath begun(name);
  UniqueFd next = TRY(open_file(name, O_RDWR | O_APPEND | O_CREAT | O_TRUNC));
  std::string head =
      encode_log_note(channel::Output::stdout_stream, format_rfc3339(wall_clock_ns()), "generation", generation_ + 1);
  TRY(write_all(next.get(), head));
  for (unsigned number = options_.max_files - 1; number > 0; --number) {
    // Those that are not there yet cannot be renamed.
    if (::rename(numbered_log(path_, number - 1).c_str(), numbered_log(path_, number).c_str()) < 0 && errno != ENOENT)
      return fail_errno("rename " + numbered_log(path_, number - 1).string());
  }
  if (::rename(name.c_str(), path_.c_str()) < 0) return fail_errno("rename to " + path_.string());
  begun.keep();
  // There are more where an earlier writer was to keep more.
  for (unsigned number = options_.max_files; ::unlink(numbered_log(path_, number).c_str()) == 0;) ++number;
  fd_ = std::move(next);
  generation_ += 1;
  size_ = head.size();
  rotate_at_ = options_.max_bytes;
  return {};
}

}  // namespace diatom
