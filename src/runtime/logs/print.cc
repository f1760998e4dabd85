#include "runtime/logs/print.h"

#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "base/platform/file_watch.h"
#include "base/time_text.h"

namespace diatom {

namespace {

using channel::Output;

constexpr size_t print_block = 64 << 10;

bool is_ready(int fd) {
  pollfd event{fd, POLLIN, 0};
  return fd >= 0 && ::poll(&event, 1, 0) > 0;
}

// Not: readable. What speaks at the other end may have something to say that is nothing to us.
bool is_closed(int fd) {
  pollfd event{fd, 0, 0};
  return fd >= 0 && ::poll(&event, 1, 0) > 0;
}

class Printer {
 public:
  Printer(const fs::path& path, const LogQuery& query, const LogSink& sink, const LogFollow& follow)
      : path_(path), query_(query), sink_(sink), follow_(follow) {}

  Result<> run() {
    LogReader reader = TRY(LogReader::open(path_));
    if (query_.tail) TRY(reader.seek_tail(*query_.tail));
    if (!query_.follow) return print_rest(reader);
    for (;;) {
      // The watch comes before the look, and the question whether it has ended before both.
      platform::FileWatch watch = TRY(open_watch());
      uint64_t files = reader.files_begun();
      while (files == reader.files_begun()) {
        bool last = has_ended();
        TRY(last ? print_rest(reader) : print_all(reader));
        if (last || stopped_) return {};
        if (files == reader.files_begun() && !TRY(wait(watch))) return {};
      }
    }
  }

 private:
  Result<platform::FileWatch> open_watch() const {
    std::vector<fs::path> paths = follow_.watch;
    paths.push_back(path_.parent_path());
    auto watch = platform::FileWatch::open(paths);
    paths.push_back(path_);
    // Its name may lead nowhere just now: then the folder tells when it does.
    auto with_file = platform::FileWatch::open(paths);
    return with_file || with_file.error().code != Errc::not_found ? std::move(with_file) : std::move(watch);
  }

  bool has_ended() const {
    bool past = query_.until_ns && wall_clock_ns() >= *query_.until_ns;
    return past || is_closed(follow_.ended_fd) || (follow_.ended && follow_.ended());
  }

  // False: it was told to stop.
  Result<bool> wait(platform::FileWatch& watch) const {
    pollfd events[] = {{watch.pollable(), POLLIN, 0}, {follow_.ended_fd, 0, 0}, {follow_.stop_fd, POLLIN, 0}};
    if (::poll(events, std::size(events), poll_timeout_ms(query_.until_ns)) < 0 && errno != EINTR)
      return fail_errno("poll");
    watch.drain();
    return !is_ready(follow_.stop_fd);
  }

  // What is there now: a writer may be faster than we are.
  Result<> print_rest(LogReader& reader) {
    LogReader last = TRY(LogReader::open(path_));
    TRY(last.seek_end());
    // A container that was to be removed is: what it wrote is in the file that we have open.
    if (last.files_begun() == 0) return print_all(reader);
    return print_all(reader, last.position());
  }

  Result<> print_all(LogReader& reader, std::optional<LogPosition> end = {}) {
    while (!end || reader.position() < *end) {
      auto record = TRY(reader.next());
      if (!record) break;
      if (wanted(*record)) TRY(print(*record));
      if (stopped_) return {};
    }
    return flush();
  }

  bool wanted(const LogRecord& record) const {
    if (record.gap) return true;
    if (query_.since_ns && record.time_ns < *query_.since_ns) return false;
    if (query_.until_ns && record.time_ns >= *query_.until_ns) return false;
    return record.stream == Output::stdout_stream ? query_.show_stdout : query_.show_stderr;
  }

  Result<> print(const LogRecord& record) {
    if (record.gap) return note("some of the log is missing here: it was rotated away");
    if (record.lost_bytes > 0)
      return note(fmt::format("{} bytes are missing here: they could not be written", record.lost_bytes));
    TRY(use(record.stream));
    bool& in_line = in_line_[static_cast<size_t>(record.stream)];
    if (query_.timestamps && !in_line) pending_ += format_rfc3339(record.time_ns) + " ";
    in_line = !record.bytes.ends_with('\n');
    pending_ += record.bytes;
    return pending_.size() >= print_block ? flush() : Result<>();
  }

  Result<> note(std::string_view words) {
    TRY(use(Output::stderr_stream));
    bool& in_line = in_line_[static_cast<size_t>(Output::stderr_stream)];
    pending_ += fmt::format("{}diatom: {}\n", std::exchange(in_line, false) ? "\n" : "", words);
    return {};
  }

  // The two streams may lead to one place: they are written in turns.
  Result<> use(Output stream) {
    if (stream != stream_) TRY(flush());
    stream_ = stream;
    return {};
  }

  Result<> flush() {
    stopped_ = stopped_ || is_ready(follow_.stop_fd);
    std::string bytes = std::exchange(pending_, {});
    return bytes.empty() || stopped_ ? Result<>() : sink_(stream_, bytes);
  }

  const fs::path& path_;
  const LogQuery& query_;
  const LogSink& sink_;
  const LogFollow& follow_;
  Output stream_ = Output::stdout_stream;
  std::string pending_;
  std::array<bool, 2> in_line_{};
  bool stopped_ = false;
};

}  // namespace

LogSink log_sink(int stdout_fd, int stderr_fd) {
  return [=](Output stream, std::string_view bytes) {
    return write_all(stream == Output::stdout_stream ? stdout_fd : stderr_fd, bytes);
  };
}

Result<> print_logs(const fs::path& path, const LogQuery& query, const LogSink& sink, const LogFollow& follow) {
  return Printer(path, query, sink, follow).run();
}

}  // namespace diatom
