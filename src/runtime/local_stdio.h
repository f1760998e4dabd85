// Joins a container's program to this process's own descriptors: what somebody who types `run` sees.
#pragma once

#include <termios.h>

#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "runtime/process_peer.h"

namespace diatom {

struct LocalStdioOptions {
  int stdin_fd = 0;
  int stdout_fd = 1;
  int stderr_fd = 2;
  bool open_stdin = false;
  bool tty = false;
  std::string detach_keys = {};  // bytes; what is typed of them is not sent until it is something else
  std::function<void()> on_detach = {};
};

// docker's "ctrl-p,ctrl-q", "ctrl-@", "a": the bytes that these keys send. Anything else is invalid_argument.
Result<std::string> parse_detach_keys(std::string_view text);

struct TerminalSize {
  uint16_t rows = 24;
  uint16_t cols = 80;
};
// Of the terminal behind `fd`; empty when it is none.
std::optional<TerminalSize> terminal_size(int fd);

// Borrows the descriptors, which may be the same one several times, and the program. The terminal gets its old mode
// back in the destructor.
class LocalStdio {
 public:
  LocalStdio(EventLoop& loop, LocalStdioOptions options);
  LocalStdio(const LocalStdio&) = delete;
  LocalStdio& operator=(const LocalStdio&) = delete;
  LocalStdio(LocalStdio&&) = delete;
  LocalStdio& operator=(LocalStdio&&) = delete;
  ~LocalStdio();

  void attach(ProcessPeer& program) { program_ = &program; }
  void started();  // from here on stdin is read, and a terminal is in raw mode
  void output(channel::Output output, std::span<const std::byte> data);
  void stdin_writable();
  // Calls `done` when everything has been written out; at most once, perhaps before it returns.
  void drain(std::function<void()> done);
  bool drained() const;
  // Why some of the program's output was lost, the first time; empty when none was, or when its reader went away, which
  // is nobody's fault.
  const std::string& output_error() const { return output_error_; }

 private:
  struct Sink {
    int fd = -1;
    bool broken = false;   // its reader has gone
    bool watched = false;  // waiting until it can be written
    std::vector<std::byte> pending;
    size_t begin = 0;  // of what is pending
  };
  Sink& sink(channel::Output output) { return sinks_[static_cast<size_t>(output)]; }
  void own_descriptor(int& fd);
  void write_pending(channel::Output output);
  void read_stdin();
  void offer_stdin();
  bool look_for_detach_keys();
  void watch_stdin(bool on);
  void check_drained();

  EventLoop& loop_;
  LocalStdioOptions options_;
  std::vector<UniqueFd> duplicates_;
  ProcessPeer* program_ = nullptr;
  std::array<Sink, 2> sinks_;
  std::vector<std::byte> typed_;  // read from stdin, not yet taken by the program
  size_t keys_seen_ = 0;          // how many of the detach keys have been typed so far
  bool stdin_watched_ = false;
  bool stdin_ended_ = false;
  std::optional<termios> saved_mode_;
  std::function<void()> on_drained_;
  std::string output_error_;
};

}  // namespace diatom
