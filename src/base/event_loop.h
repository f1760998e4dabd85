#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

namespace diatom {

// One thread, one poll loop. A handler must not block; it may add and remove watches, its own too. Every member but
// post() is for the loop's thread only. Watched descriptors are borrowed: forget() one before closing it.
class EventLoop {
 public:
  using Handler = std::function<void()>;
  using TimerId = uint64_t;

  static Result<std::unique_ptr<EventLoop>> create();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  EventLoop(EventLoop&&) = delete;
  EventLoop& operator=(EventLoop&&) = delete;
  ~EventLoop();

  // Called while the descriptor is ready, once a turn; end-of-file and errors count as readable, errors as writable.
  // A second call replaces the handler.
  void on_readable(int fd, Handler handler);
  void on_writable(int fd, Handler handler);
  void forget_writable(int fd);
  void forget(int fd);

  TimerId after(std::chrono::milliseconds delay, Handler handler);
  void cancel(TimerId timer);

  // Takes the signal over until the loop is destroyed. One loop of a process at a time may do so.
  Result<> on_signal(int signal, std::function<void(int)> handler);

  void post(Handler handler);  // from any thread; runs on the loop's

  Result<> run();  // until stop()
  void stop() { running_ = false; }

 private:
  struct Watch {
    Handler readable;
    Handler writable;
  };
  struct Timer {
    TimerId id;
    Handler handler;
  };
  using Clock = std::chrono::steady_clock;

  EventLoop(UniqueFd wake_read, UniqueFd wake_write)
      : wake_read_(std::move(wake_read)), wake_write_(std::move(wake_write)) {}
  int next_timeout_ms() const;
  void run_timers();
  void run_woken();
  void run_posted();

  UniqueFd wake_read_;  // a signal handler or another thread writes one byte: the signal's number, 0 for a post
  UniqueFd wake_write_;
  std::map<int, Watch> watches_;
  std::multimap<Clock::time_point, Timer> timers_;
  TimerId last_timer_ = 0;
  std::map<int, std::function<void(int)>> signal_handlers_;
  std::mutex posted_mutex_;
  std::vector<Handler> posted_;  // guarded by posted_mutex_
  bool running_ = false;
};

}  // namespace diatom
