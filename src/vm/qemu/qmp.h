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

  void set_deadline(Clock::time_point deadline) { deadline_ = deadline; }
  // Does not wait for the answer: QEMU takes one command after the other.
  Result<> send(std::string_view command, const Json& arguments);
  // QEMU gets a descriptor of its own, by that name: "fd:NAME" is where something is migrated to.
  Result<> give(std::string_view name, int fd);
  // Likewise, and waits for the number that it has there, and that of the set which remove-fd closes.
  struct HandedOver {
    int fd = -1;
    int64_t set = 0;
  };
  Result<HandedOver> hand_over(int fd);
  int fd() const { return socket_.get(); }
  // Looks through what has come for an event of that name whose data `matches`; never waits. Errors: start_failed when
  // a command has failed by then, or QEMU has ended.
  Result<bool> find_event(std::string_view name, const EventMatch& matches);
  // Waits for the answer, and returns it. Errors: start_failed as above.
  Result<Json> ask(std::string_view command, const Json& arguments);
  // find_event(), and waits for it.
  Result<> await_event(std::string_view name, const EventMatch& matches);

 private:
  Result<> write(const std::string& line);
  Result<> write_with(std::string line, int fd);
  Result<Json> await_answer(int64_t id);
  Result<std::optional<Json>> next_message();
  Result<std::optional<std::string>> next_line();
  Result<> wait();

  UniqueFd socket_;
  Clock::time_point deadline_;
  const CancelToken* cancel_;
  std::string unread_;
  int64_t asked_ = 0;
};

}  // namespace diatom::vm
