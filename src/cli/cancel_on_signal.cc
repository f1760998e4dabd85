#include "cli/cancel_on_signal.h"

#include <signal.h>

#include <atomic>

namespace diatom::cli {

namespace {

std::atomic<Images*> cancellable{nullptr};
static_assert(std::atomic<Images*>::is_always_lock_free, "read in a signal handler");

}  // namespace

CancelOnSignal::CancelOnSignal(Images& images) {
  cancellable = &images;
  struct sigaction action{};
  action.sa_handler = [](int) {
    if (Images* cancelled = cancellable.load()) cancelled->cancel();
  };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
}

CancelOnSignal::~CancelOnSignal() {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_DFL);
  cancellable = nullptr;
}

}  // namespace diatom::cli
