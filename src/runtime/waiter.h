// A blocking call of the public API: a loop of its own that ends with the answer, or when the caller gives up.
#pragma once

#include <memory>
#include <optional>

#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace diatom {

// Wakes whoever waits in this process, from any thread and from a signal handler; for good.
class Interrupt {
 public:
  static Result<std::unique_ptr<Interrupt>> create();
  void raise();                                     // async-signal-safe
  Result<> check() const;                           // cancelled once raised
  int pollable() const { return read_end_.get(); }  // readable once raised

 private:
  Interrupt(UniqueFd read_end, UniqueFd write_end) : read_end_(std::move(read_end)), write_end_(std::move(write_end)) {}
  UniqueFd read_end_, write_end_;
};

template <class T>
class Waiter {
 public:
  static Result<std::unique_ptr<Waiter>> create(const Interrupt& interrupt) {
    std::unique_ptr<Waiter> waiter(new Waiter());
    waiter->loop_ = TRY(EventLoop::create());
    waiter->loop_->on_readable(interrupt.pollable(), [raw = waiter.get()] { raw->give_up(); });
    return waiter;
  }
  EventLoop& loop() { return *loop_; }
  // The first answer counts.
  void done(Result<T> result) {
    if (!result_) result_ = std::move(result);
    loop_->stop();
  }
  // Not by way of done(): GCC 12 takes the Result that would be passed for one that was never made.
  void give_up() {
    if (!result_) result_.emplace(std::unexpected(Error{Errc::cancelled, "interrupted", "", 0}));
    loop_->stop();
  }
  bool is_done() const { return result_.has_value(); }
  Result<T> wait() {
    if (!result_) TRY(loop_->run());
    return std::move(*result_);
  }

 private:
  Waiter() = default;
  std::unique_ptr<EventLoop> loop_;
  std::optional<Result<T>> result_;
};

}  // namespace diatom
