// One of the agent's tools at work (agent/tools.h), as its caller sees it: its stream is a pipe, and somebody's in a
// thread of its own. Everything else happens on the loop's thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/event_loop.h"
#include "channel/agent_client.h"

namespace diatom {

struct ToolCall {
  std::string tool;
  std::vector<std::string> words;
  // Reads what the tool writes, or writes what it reads, until the end or an error; in a thread of its own. The
  // descriptor is borrowed. One of the two.
  std::function<Result<>(int fd)> receive;
  std::function<Result<>(int fd)> send;
  std::function<void()> on_cancel = {};  // the thread is to end, even if it has all that it waits for
};

class Tool {
 public:
  // `on_done` is called once, when the tool has ended and the thread has, too; with what went wrong first.
  Tool(EventLoop& loop, channel::AgentClient& agent, ToolCall call, std::function<void(Result<>)> on_done);
  Tool(const Tool&) = delete;
  Tool& operator=(const Tool&) = delete;
  Tool(Tool&&) = delete;
  Tool& operator=(Tool&&) = delete;
  ~Tool();

  Result<> start();
  // Ends its streams, so that it can leave what it was at whole. on_done follows, with `cancelled`.
  void cancel();

  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  void received(std::span<const std::byte> data);
  void pass_received();
  void pass_sent();
  void close_pipe();
  void thread_ended(Result<> result);
  void tool_ended(Result<channel::ExitReport> report);
  void finish_if_over();
  Result<> read_words(const channel::ExitReport& report);

  EventLoop& loop_;
  channel::AgentClient& agent_;
  ToolCall call_;
  std::function<void(Result<>)> on_done_;
  std::string id_;
  UniqueFd pipe_;  // our end of it, on the loop
  UniqueFd their_end_;
  bool watched_ = false;
  std::vector<std::byte> held_;  // on its way, one way or the other: at most a stream's window
  size_t held_begin_ = 0;
  bool stream_ended_ = false;  // the tool's
  bool cancelled_ = false;
  std::string words_;  // its stderr
  std::vector<std::string> warnings_;
  std::optional<Result<>> thread_result_;
  bool thread_failed_first_ = false;
  std::optional<Result<>> tool_result_;
  std::optional<EventLoop::TimerId> deadline_;
  std::jthread thread_;  // goes first
};

}  // namespace diatom
