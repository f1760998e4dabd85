// Answers the host's requests (docs/format/channel.md) and carries the streams of processes. One thread, one loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/event_loop.h"
#include "channel/connection.h"
#include "channel/messages.h"
#include "process_io.h"

namespace diatom::agent {

class Server {
 public:
  // Takes the channel. Serves until the host has gone: then the loop is stopped.
  static Result<std::unique_ptr<Server>> open(EventLoop& loop, UniqueFd channel);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  Server(Server&&) = delete;
  Server& operator=(Server&&) = delete;
  ~Server() = default;

  void reap();  // some child has ended

 private:
  using StreamId = channel::StreamId;
  // A process from its first mention: the host sends everything at once, and requests for its streams may come before
  // the one that starts it is complete.
  struct Process {
    std::optional<channel::ProcessConfig> config;  // until it is started
    StreamId start_stream = 0;
    pid_t pid = -1;
    bool ended = false;
    channel::ExitReport report;
    StreamId exit_stream = 0;
    ProcessIo io;
    Process(EventLoop& loop, channel::Connection*& connection) : io(loop, connection) {}
  };

  explicit Server(EventLoop& loop) : loop_(loop) {}
  channel::StreamHandlers route(StreamId stream, const channel::Request& request);
  channel::StreamHandlers route_process(StreamId stream, const std::string& method, std::string_view id,
                                        std::string_view rest);
  // Collects the request's body, then calls `act`.
  channel::StreamHandlers with_body(StreamId stream, std::function<void(std::string)> act);
  void set_container_up(StreamId stream, const std::string& body);
  void start_process(StreamId stream, const std::string& id, const std::string& body);
  void start_waiting_processes();
  void start(Process& process);
  void kill(StreamId stream, std::string_view id, std::string_view signal);
  void resize(StreamId stream, std::string_view id, std::string_view size);
  void shut_down(StreamId stream);
  void finish_shutdown();
  void answer(StreamId stream, int status, std::string_view body = {});
  void refuse(StreamId stream, const channel::StartFailure& why);
  void report_exit(Process& process);
  Process& process(std::string_view id);

  EventLoop& loop_;
  std::unique_ptr<channel::Connection> connection_;
  channel::Connection* channel_ = nullptr;
  std::optional<channel::ContainerConfig> container_;
  std::map<std::string, std::unique_ptr<Process>, std::less<>> processes_;
  StreamId shutdown_stream_ = 0;
};

}  // namespace diatom::agent
