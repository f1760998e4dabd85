#include "cli/cancel_on_signal.h"

#include <signal.h>

#include <atomic>
#include <initializer_list>

namespace diatom::cli {

namespace {

std::atomic<void*> cancellable{nullptr};
std::atomic<void (*)(void*)> cancel_it{nullptr};
static_assert(std::atomic<void*>::is_always_lock_free, "read in a signal handler");

}  // namespace

CancelOnSignal::CancelOnSignal(void* target, void (*cancel)(void*)) {
  cancel_it = cancel;
  cancellable = target;
  struct sigaction action{};
  action.sa_handler = [](int) {
    if (void* cancelled = cancellable.load()) cancel_it.load()(cancelled);
  };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
}

CancelOnSignal::~CancelOnSignal() {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_DFL);
  cancellable = nullptr;
}

}  // namespace diatom::cli
