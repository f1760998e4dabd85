// The monitor's end of its clients: the control socket, and the connection that its starter gave it. What they ask is
// somebody else's to answer.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>

#include "base/event_loop.h"
#include "base/file.h"
#include "channel/connection.h"

namespace diatom {

class ControlServer {
 public:
  using Route =
      std::function<channel::StreamHandlers(channel::Connection&, channel::StreamId, const channel::Request&)>;

  // `on_change` is called when a client has gone.
  ControlServer(EventLoop& loop, Route route, std::function<void()> on_change)
      : loop_(loop), route_(std::move(route)), on_change_(std::move(on_change)) {}
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  ControlServer(ControlServer&&) = delete;
  ControlServer& operator=(ControlServer&&) = delete;
  ~ControlServer();

  Result<> listen(const fs::path& socket);
  Result<> adopt(UniqueFd connection);
  void stop_listening();  // and the socket goes
  bool is_alone() const { return clients_.empty(); }
  void release_unused();  // ends the connections on which nothing is under way
  // Calls `done` once when everything that was sent is on its way; what clients have not asked for yet does not count.
  void when_idle(std::function<void()> done);

 private:
  void accept();
  void accept_from_now_on();

  EventLoop& loop_;
  Route route_;
  std::function<void()> on_change_;
  UniqueFd socket_;
  std::optional<EventLoop::TimerId> pause_;  // there are no descriptors left just now
  fs::path path_;
  std::list<std::unique_ptr<channel::Connection>> clients_;
};

}  // namespace diatom
