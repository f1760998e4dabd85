// The `logs` verb: which records are shown, and as what.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "diatom/runtime.h"
#include "runtime/logs/reader.h"

namespace diatom {

// What may end the following, beside the query.
struct LogFollow {
  // Whether nothing will be written any more; what has been is still shown. Asked at the beginning and whenever
  // something has happened: to the log, to one of `watch`, or on `ended_fd`.
  std::function<bool()> ended = {};
  std::vector<fs::path> watch = {};
  int ended_fd = -1;  // closed by its other end: it has ended. Borrowed
  int stop_fd = -1;   // readable or closed: the same, but nothing more is shown. Borrowed
};

// Takes many records' bytes at once, all of one stream.
using LogSink = std::function<Result<>(channel::Output stream, std::string_view bytes)>;
LogSink log_sink(int stdout_fd, int stderr_fd);  // borrowed

// Shows a log; returns when all has been shown, and there is nothing to follow. A gap or a loss is shown as a line of
// its own on stderr. Blocks while it follows; the sink's first error ends it.
Result<> print_logs(const fs::path& path, const LogQuery& query, const LogSink& sink, const LogFollow& follow);

}  // namespace diatom
