#pragma once

#include <array>
#include <string>

#include "base/event_loop.h"
#include "channel/connection.h"
#include "spawn.h"

namespace diatom::agent {

// Carries a process's stdin, stdout and stderr between its descriptors and streams of the channel. What the host does
// not read stays in the program's pipe; what the program does not read stays with the host.
class ProcessIo {
 public:
  ProcessIo(EventLoop& loop, channel::Connection*& connection) : loop_(loop), connection_(connection) {}
  ProcessIo(const ProcessIo&) = delete;
  ProcessIo& operator=(const ProcessIo&) = delete;
  ProcessIo(ProcessIo&&) = delete;
  ProcessIo& operator=(ProcessIo&&) = delete;
  ~ProcessIo();

  channel::StreamHandlers attach_output(channel::StreamId stream, size_t number);  // 0 stdout, 1 stderr
  channel::StreamHandlers attach_input(channel::StreamId stream);
  void started(Spawned spawned);
  void not_started();  // its streams end
  void resize(uint16_t rows, uint16_t cols);

 private:
  struct Output {
    UniqueFd fd;
    channel::StreamId stream = 0;
    bool watched = false;
  };
  void pump_output(Output& output);
  void watch_output(Output& output, bool on);
  void end_output(Output& output);
  void take_input(std::span<const std::byte> data);
  void write_input();
  void end_input();

  EventLoop& loop_;
  channel::Connection*& connection_;
  std::array<Output, 2> outputs_;
  UniqueFd input_;
  channel::StreamId input_stream_ = 0;
  std::string pending_;  // received, not yet written; at most the stream's window
  bool input_ended_ = false;
  bool input_watched_ = false;
  bool tty_ = false;
  bool running_ = false;
};

}  // namespace diatom::agent
