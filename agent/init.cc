#include "init.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace diatom::agent {

namespace {

sigset_t every_signal() {
  sigset_t signals;
  sigfillset(&signals);
  return signals;
}

}  // namespace

void block_signals() {
  sigset_t signals = every_signal();
  ::sigprocmask(SIG_SETMASK, &signals, nullptr);
}

void leave_init() {
  ::setpgid(0, 0);
  ::tcsetpgrp(0, ::getpid());  // still with all signals blocked: SIGTTOU would stop us
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void run_init(pid_t program) {
  ::prctl(PR_SET_NAME, "init");
  // The program's ends of its streams are its own: what it closes is closed.
  ::close_range(0, ~0U, 0);
  for (;;) {
    sigset_t signals = every_signal();
    int signal = 0;
    if (::sigwait(&signals, &signal) != 0) continue;
    if (signal != SIGCHLD) {
      ::kill(program, signal);
      continue;
    }
    int status = 0;
    for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;)
      if (pid == program) ::_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
  }
}

}  // namespace diatom::agent
