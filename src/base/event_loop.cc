#include "base/event_loop.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "base/platform/platform.h"

namespace diatom {

namespace {

// Where the signal handler writes to; the loop that owns the signals sets it.
std::atomic<int> signal_wake_fd{-1};

void wake_for_signal(int signal) {
  int saved = errno;
  auto number = static_cast<unsigned char>(signal);
  // A full pipe drops the byte: the loop is about to run anyway, with dozens of signals before this one.
  [[maybe_unused]] ssize_t ignored = ::write(signal_wake_fd.load(), &number, 1);
  errno = saved;
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  platform::Pipe wake = TRY(platform::make_pipe());
  ::fcntl(wake.read_end.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(wake.write_end.get(), F_SETFL, O_NONBLOCK);
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(wake.read_end), std::move(wake.write_end)));
}

EventLoop::~EventLoop() {
  for (const auto& [signal, handler] : signal_handlers_) ::signal(signal, SIG_DFL);
  if (!signal_handlers_.empty()) signal_wake_fd = -1;
}

void EventLoop::on_readable(int fd, Handler handler) { watches_[fd].readable = std::move(handler); }
void EventLoop::on_writable(int fd, Handler handler) { watches_[fd].writable = std::move(handler); }
void EventLoop::forget(int fd) { watches_.erase(fd); }

void EventLoop::forget_writable(int fd) {
  auto found = watches_.find(fd);
  if (found == watches_.end()) return;
  found->second.writable = nullptr;
  if (!found->second.readable) watches_.erase(found);
}

EventLoop::TimerId EventLoop::after(std::chrono::milliseconds delay, Handler handler) {
  timers_.emplace(Clock::now() + delay, Timer{++last_timer_, std::move(handler)});
  return last_timer_;
}

void EventLoop::cancel(TimerId timer) {
  std::erase_if(timers_, [timer](const auto& entry) { return entry.second.id == timer; });
}

Result<> EventLoop::on_signal(int signal, std::function<void(int)> handler) {
  signal_wake_fd = wake_write_.get();
  signal_handlers_[signal] = std::move(handler);
  struct sigaction action{};
  action.sa_handler = wake_for_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  if (::sigaction(signal, &action, nullptr) < 0) return fail_errno("handle signal " + std::to_string(signal));
  return {};
}

void EventLoop::post(Handler handler) {
  {
    std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(handler));
  }
  unsigned char none = 0;
  [[maybe_unused]] ssize_t ignored = ::write(wake_write_.get(), &none, 1);
}

int EventLoop::next_timeout_ms() const {
  if (timers_.empty()) return -1;
  auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30));
}

void EventLoop::run_timers() {
  auto now = Clock::now();
  while (running_ && !timers_.empty() && timers_.begin()->first <= now) {
    Handler handler = std::move(timers_.begin()->second.handler);
    timers_.erase(timers_.begin());
    handler();
  }
}

void EventLoop::run_posted() {
  std::vector<Handler> posted;
  {
    std::lock_guard lock(posted_mutex_);
    posted.swap(posted_);
  }
  for (auto& handler : posted) handler();
}

void EventLoop::run_woken() {
  unsigned char numbers[64];
  for (ssize_t got; (got = ::read(wake_read_.get(), numbers, sizeof numbers)) > 0;)
    for (ssize_t i = 0; i < got; ++i)
      if (auto found = signal_handlers_.find(numbers[i]); found != signal_handlers_.end()) {
        auto handler = found->second;
        handler(numbers[i]);
      }
  run_posted();
}

Result<> EventLoop::run() {
  running_ = true;
  std::vector<pollfd> polled;
  while (running_) {
    polled.assign(1, pollfd{wake_read_.get(), POLLIN, 0});
    for (const auto& [fd, watch] : watches_) {
      int events = (watch.readable ? POLLIN : 0) | (watch.writable ? POLLOUT : 0);
      polled.push_back(pollfd{fd, static_cast<short>(events), 0});
    }
    int ready = ::poll(polled.data(), static_cast<nfds_t>(polled.size()), next_timeout_ms());
    if (ready < 0 && errno != EINTR) return fail_errno("poll");
    run_timers();
    if (ready <= 0) continue;
    if (polled[0].revents != 0) run_woken();
    // A handler may have forgotten any watch, or replaced it: each is looked up when its turn comes, and a copy is
    // called, so that it may forget itself.
    for (size_t i = 1; i < polled.size() && running_; ++i) {
      constexpr short failed = POLLHUP | POLLERR | POLLNVAL;
      if ((polled[i].revents & (POLLIN | failed)) != 0)
        if (auto found = watches_.find(polled[i].fd); found != watches_.end() && found->second.readable) {
          Handler handler = found->second.readable;
          handler();
        }
      if ((polled[i].revents & (POLLOUT | failed)) != 0)
        if (auto found = watches_.find(polled[i].fd); found != watches_.end() && found->second.writable) {
          Handler handler = found->second.writable;
          handler();
        }
    }
  }
  return {};
}

}  // namespace diatom
