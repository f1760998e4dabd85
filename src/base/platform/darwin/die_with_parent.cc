// The kernel kills nobody for the end of his parent. A program of ours could watch for it, but QEMU and others do not:
// so a process is made beside the child that waits for both ends. It is nobody's child (launchd's), holds nothing open
// and takes no signal but SIGKILL. All that happens here happens between fork and exec: system calls only.
#include <libproc.h>
#include <signal.h>
#include <sys/event.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/platform/platform.h"

namespace diatom::platform {

namespace {

// Not one by one up to the limit, which may be a million.
void close_all() {
  proc_fdinfo open[128];
  for (;;) {
    int bytes = ::proc_pidinfo(::getpid(), PROC_PIDLISTFDS, 0, open, sizeof open);
    auto count = static_cast<size_t>(bytes > 0 ? bytes : 0) / sizeof(proc_fdinfo);
    bool closed = false;
    for (size_t i = 0; i < count; ++i) closed = ::close(open[i].proc_fd) == 0 || closed;
    if (!closed) return;
  }
}

// False when it has ended already.
bool watch(int events, pid_t pid) {
  struct kevent change{};
  EV_SET(&change, static_cast<uintptr_t>(pid), EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, nullptr);
  return ::kevent(events, &change, 1, nullptr, 0, nullptr) == 0;
}

[[noreturn]] void guard(pid_t parent, pid_t child) {
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::setsid();
  close_all();  // who waits for the end of a pipe must not wait for us
  int events = ::kqueue();
  if (events < 0) ::kill(child, SIGKILL);  // rather none than one that nobody ends
  if (events < 0 || !watch(events, child)) ::_exit(0);
  if (watch(events, parent)) {
    struct kevent happened[2];
    int count = -1;
    do {
      count = ::kevent(events, nullptr, 0, happened, 2, nullptr);
    } while (count < 0 && errno == EINTR);
    for (int i = 0; i < count; ++i)
      if (happened[i].ident == static_cast<uintptr_t>(child)) ::_exit(0);
  }
  ::kill(child, SIGKILL);
  ::_exit(0);
}

}  // namespace

bool die_with_parent(pid_t parent) {
  pid_t child = ::getpid();
  pid_t between = ::fork();
  if (between == 0) {
    pid_t made = ::fork();
    if (made == 0) guard(parent, child);
    ::_exit(made < 0 ? 1 : 0);
  }
  int status = 0;
  while (between > 0 && ::waitpid(between, &status, 0) < 0)
    if (errno != EINTR) return false;
  return between > 0 && status == 0 && ::getppid() == parent;
}

}  // namespace diatom::platform
