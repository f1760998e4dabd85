// Answers the host's requests (docs/format/channel.md). One thread, one loop.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/event_loop.h"
#include "cgroup.h"
#include "channel/connection.h"
#include "processes.h"

namespace diatom::agent {

class Server {
 public:
  static Result<std::unique_ptr<Server>> create(EventLoop& loop);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  Server(Server&&) = delete;
  Server& operator=(Server&&) = delete;
  ~Server() = default;

  // Serves until the host has gone: then the loop is stopped. Not a word is said before.
  Result<> attach(UniqueFd channel) { return connection_->attach(std::move(channel)); }
  void reap();  // some child has ended

 private:
  using StreamId = channel::StreamId;

  explicit Server(EventLoop& loop) : loop_(loop), freezer_(loop), processes_(loop, channel_, freezer_) {}
  channel::StreamHandlers route(StreamId stream, const channel::Request& request);
  void set_container_up(StreamId stream, const std::string& body);
  void prepare(StreamId stream, const std::string& body);
  void read_clock(StreamId stream);
  void measure(StreamId stream);
  void list_processes(StreamId stream);
  void freeze(StreamId stream, bool frozen);
  void set_limits(StreamId stream, const std::string& body);
  void quiesce(StreamId stream);
  void set_identity(StreamId stream, const std::string& body);
  void shut_down(StreamId stream);
  void finish_shutdown(bool in_time);

  EventLoop& loop_;
  std::unique_ptr<channel::Connection> connection_;
  channel::Connection* channel_ = nullptr;
  Freezer freezer_;
  Processes processes_;
  StreamId shutdown_stream_ = 0;
  std::optional<EventLoop::TimerId> shutdown_deadline_;
};

}  // namespace diatom::agent
