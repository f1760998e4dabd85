// A client's end of a container's control socket (docs/format/control.md). Lives on its loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "channel/agent_client.h"
#include "runtime/control_messages.h"
#include "runtime/process_peer.h"

namespace diatom {

struct AttachHandlers {
  std::function<void(channel::Output, std::span<const std::byte>)> on_output;  // answered by consumed()
  std::function<void(channel::Output, bool whole)> on_output_end;  // not whole: the monitor let us go, too far behind
  std::function<void()> on_stdin_writable;
};
struct AttachStreams {
  bool in = false;
  bool out = true;
  bool err = true;
  bool whole = false;  // the program waits rather than have the log forget what we have not seen
};

// As ProcessPeer: the container's first process, once attach() was called.
class ControlClient final : public ProcessPeer {
 public:
  static Result<std::unique_ptr<ControlClient>> connect(EventLoop& loop, UniqueFd socket,
                                                        std::function<void(Error)> on_lost);

  // A request with a message as its body and one as its answer. Errors are the monitor's own, or that it has gone.
  void call(const std::string& method, const std::string& path, std::string_view body,
            std::function<void(Result<std::string>)> done);
  // Calls `on_line` for each stage of the start that is under way; the last one says that it runs, or why not.
  void await_start(std::function<void(StartLine)> on_line);
  // The container's programs stand still from `done` on, until release() or the end of this connection.
  void hold(std::function<void(Result<>)> done);
  void release(std::function<void()> done);                     // `done`: they go on
  void await_exit(std::function<void(Result<ExitInfo>)> done);  // of this run
  void attach(const AttachStreams& streams, AttachHandlers handlers);
  void detach_stdin();  // without an end: the program's stdin stays as it is

  size_t write_stdin(std::span<const std::byte> data) override;
  void close_stdin() override;
  void consumed(channel::Output output, size_t bytes) override;
  void close_output(channel::Output output) override;
  void resize(uint16_t rows, uint16_t cols) override;

  channel::AgentClient& agent() { return *agent_; }  // of the guest, by way of the monitor

 private:
  ControlClient() = default;
  channel::Connection& connection() { return agent_->connection(); }

  AttachHandlers handlers_;
  channel::StreamId outputs_[2] = {0, 0};
  bool refused_[2] = {false, false};  // we want no more of it
  channel::StreamId stdin_ = 0;
  channel::StreamId hold_ = 0;
  std::function<void()> on_released_;
  std::unique_ptr<channel::AgentClient> agent_;  // goes first: its streams' handlers refer to us
};

}  // namespace diatom
