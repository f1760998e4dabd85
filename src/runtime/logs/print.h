// The `logs` verb: which records are shown, and as what.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "runtime/logs/reader.h"

namespace diatom {

struct LogQuery {
  std::optional<uint64_t> tail = {};     // lines; all when not set. Counted before anything is left out, as in docker
  std::optional<int64_t> since_ns = {};  // from then on
  std::optional<int64_t> until_ns = {};  // before then; who follows stops following then
  bool follow = false;
  bool timestamps = false;  // before each line: "2026-11-24T12:00:00.123456789Z "
  bool show_stdout = true;
  bool show_stderr = true;
};

// What may end the following, beside the query.
struct LogFollow {
  // Whether nothing will be written any more; what has been is still shown. Asked at the beginning and whenever
  // something has happened: to the log, to one of `watch`, or on `ended_fd`.
  std::function<bool()> ended = {};
  std::vector<fs::path> watch = {};
  int ended_fd = -1;  // readable or closed by its other end: it has ended. Borrowed
  int stop_fd = -1;   // the same, but nothing more is shown. Borrowed
};

// Takes many records' bytes at once, all of one stream.
using LogSink = std::function<Result<>(channel::Output stream, std::string_view bytes)>;
LogSink log_sink(int stdout_fd, int stderr_fd);  // borrowed

// Shows a log; returns when all has been shown, and there is nothing to follow. A gap or a loss is shown as a line of
// its own on stderr. Blocks while it follows; the sink's first error ends it.
Result<> print_logs(const fs::path& path, const LogQuery& query, const LogSink& sink, const LogFollow& follow);

}  // namespace diatom
