// Saves the VM of a container that runs, and lets it go on.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "base/event_loop.h"
#include "runtime/task.h"

namespace diatom {

// Lives on the loop's thread, and on one of its own while it writes. Borrows the task, which must not go before this.
class Saver {
 public:
  // `done` is called once, when the VM goes on, unless the VM ends before that.
  Saver(EventLoop& loop, Task& task, vm::SaveTarget target, std::function<void(Result<>)> done);
  Saver(const Saver&) = delete;
  Saver& operator=(const Saver&) = delete;
  Saver(Saver&&) = delete;
  Saver& operator=(Saver&&) = delete;
  ~Saver();  // its VM has gone, or `done` was called: else it waits for what is being written

 private:
  void at_rest(const Result<>& rest);
  void written(const Result<>& result);
  void end(Result<> result);

  EventLoop& loop_;
  Task& task_;
  vm::SaveTarget target_;
  std::function<void(Result<>)> done_;
  std::optional<EventLoop::TimerId> deadline_;
  std::jthread writer_;
  std::shared_ptr<bool> there_ = std::make_shared<bool>(true);  // for what the writer has posted
};

}  // namespace diatom
