// How a transfer of many blobs is shown: live bars on a terminal, lines elsewhere, JSON lines for programs.
//
// There is no timer: a screen is drawn when something happens, at most fifteen times a second; what happens last before
// a silence (no blob is on its way any more) is drawn at once.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "diatom/images.h"

namespace diatom::cli {

enum class ProgressMode { automatic, tty, plain, json, none };
Result<ProgressMode> parse_progress_mode(std::string_view text);  // auto tty plain json none
// What `automatic` means for a descriptor: tty on a terminal that can move its cursor, else plain.
ProgressMode resolve_progress_mode(ProgressMode mode, int fd);

enum class Transfer { pull, push };

struct TerminalSize {
  size_t columns = 80;
  size_t rows = 24;
};

// Where a Progress writes, and what it asks of the world; tests have their own.
struct ProgressSink {
  std::function<void(std::string_view)> write;  // one call for each frame or line
  std::function<TerminalSize()> terminal_size;
  std::function<std::chrono::steady_clock::time_point()> now;
};
ProgressSink terminal_sink(int fd);  // borrowed

// The calls may come from several threads, but not from two at once (as ProgressHandler promises).
class Progress {
 public:
  Progress(ProgressMode mode, Transfer transfer, ProgressSink sink);  // any mode but automatic
  Progress(ProgressMode mode, Transfer transfer, int fd) : Progress(mode, transfer, terminal_sink(fd)) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  Progress(Progress&&) = delete;
  Progress& operator=(Progress&&) = delete;
  // After an error or an interrupt: the bars go, and what is printed next stands on a clean line.
  ~Progress();

  ProgressHandler handler();  // borrows this
  // A line of the command itself: {"status": …} with json.
  void line(std::string_view text);
  // The bars stay as they are; the cursor is below them.
  void finish();

 private:
  void on_progress(const TransferProgress& event);
  void draw(bool everything);
  void erase();
  std::vector<const TransferProgress*> shown(size_t lines) const;
  std::string bar_line(const TransferProgress& blob, size_t columns) const;
  std::string_view status(TransferProgress::Phase phase) const;
  size_t rows_drawn(size_t columns) const;
  TransferProgress& blob(const std::string& id);

  ProgressMode mode_;
  Transfer transfer_;
  ProgressSink sink_;
  std::deque<TransferProgress> blobs_;  // the last event of each, in the order of their first ones
  std::map<std::string, TransferProgress*, std::less<>> by_id_;
  std::vector<size_t> drawn_;  // the width of each line on the screen
  std::chrono::steady_clock::time_point last_draw_;
};

}  // namespace diatom::cli
