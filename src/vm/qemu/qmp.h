// QEMU's monitor protocol over a socket: JSON messages, one a line. For the few words that a VM's start takes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/error.h"
#include "base/json.h"
#include "base/unique_fd.h"

namespace diatom::vm {

class QmpClient {
 public:
  using Clock = std::chrono::steady_clock;
  using EventMatch = std::function<Result<bool>(const Json& data)>;

  // Waiting ends with an error, timeout, at the deadline. `cancel`, where there is one, is looked at a few times a
  // second.
  QmpClient(UniqueFd socket, Clock::time_point deadline, const CancelToken* cancel = nullptr)
      : socket_(std::move(socket)), deadline_(deadline), cancel_(cancel) {}

  // Does not wait for the answer: QEMU takes one command after the other.
  Result<> send(std::string_view command, const Json& arguments);
  // QEMU gets a descriptor of its own, by that name: "fd:NAME" is where something is migrated to.
  Result<> give(std::string_view name, int fd);
  int fd() const { return socket_.get(); }
  // Looks through what has come for an event of that name whose data `matches`; never waits. Errors: start_failed when
  // a command has failed by then, or QEMU has ended.
  Result<bool> find_event(std::string_view name, const EventMatch& matches);
  // The same, and waits for it.
  Result<> await_event(std::string_view name, const EventMatch& matches);

 private:
  Result<std::optional<std::string>> next_line();
  Result<> wait();

  UniqueFd socket_;
  Clock::time_point deadline_;
  const CancelToken* cancel_;
  std::string unread_;
};

}  // namespace diatom::vm
