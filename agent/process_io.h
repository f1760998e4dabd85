#pragma once

#include <array>
#include <functional>
#include <string>

#include "base/event_loop.h"
#include "channel/connection.h"
#include "spawn.h"

namespace diatom::agent {

// Carries a process's stdin, stdout and stderr between its descriptors and streams of the channel. What the host does
// not read stays in the program's pipe; what the program does not read stays with the host. When whoever read an output
// has gone (its stream was reset), the program goes on, and what it writes goes nowhere.
class ProcessIo {
 public:
  ProcessIo(EventLoop& loop, channel::Connection*& connection) : loop_(loop), connection_(connection) {}
  ProcessIo(const ProcessIo&) = delete;
  ProcessIo& operator=(const ProcessIo&) = delete;
  ProcessIo(ProcessIo&&) = delete;
  ProcessIo& operator=(ProcessIo&&) = delete;
  ~ProcessIo();

  // 0 stdout, 1 stderr. One stream at a time has each of them: false when it is another's.
  bool can_attach_output(size_t number) const { return outputs_[number].stream == 0; }
  bool can_attach_input() const { return input_stream_ == 0 && !input_ended_; }
  channel::StreamHandlers attach_output(channel::StreamId stream, size_t number);
  channel::StreamHandlers attach_input(channel::StreamId stream);
  void started(Spawned spawned);
  void not_started();                // its streams end
  void ended();                      // nobody reads its stdin any more
  void close_output(size_t number);  // the program gets SIGPIPE
  void discard_output();             // nobody will ask for it
  void leave_streams();              // their ends mean nothing: others will be attached
  bool idle() const;                 // no stream is attached
  // Called when a stream has been closed, from its handler: too early to destroy this.
  void on_detached(std::function<void()> handler) { on_detached_ = std::move(handler); }
  void resize(uint16_t rows, uint16_t cols);

 private:
  struct Output {
    UniqueFd fd;
    channel::StreamId stream = 0;
    bool watched = false;
    bool discarded = false;
  };
  void pump_output(Output& output);
  void discard(Output& output);
  void begin_output(Output& output);
  void detached();
  void watch_output(Output& output, bool on);
  void end_output(Output& output);
  void take_input(std::span<const std::byte> data);
  void write_input();
  void end_input();

  EventLoop& loop_;
  std::function<void()> on_detached_;
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
