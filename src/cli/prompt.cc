#include "cli/prompt.h"

#include <fmt/core.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "base/file.h"

namespace diatom::cli {

namespace {

constexpr size_t longest_answer = 64 << 10;

volatile sig_atomic_t interrupted = 0;

// A signal ends the read rather than the process, so that the terminal can be put right.
class InterruptsRead {
 public:
  InterruptsRead() {
    interrupted = 0;
    struct sigaction action{};
    action.sa_handler = [](int) { interrupted = 1; };
    for (size_t i = 0; i < ending.size(); ++i) ::sigaction(ending[i], &action, &before_[i]);
    // Stopped with the echo off, the shell would have a terminal that shows nothing.
    stop_before_ = ::signal(SIGTSTP, SIG_IGN);
  }
  InterruptsRead(const InterruptsRead&) = delete;
  InterruptsRead& operator=(const InterruptsRead&) = delete;
  ~InterruptsRead() {
    for (size_t i = 0; i < ending.size(); ++i) ::sigaction(ending[i], &before_[i], nullptr);
    ::signal(SIGTSTP, stop_before_);
  }

 private:
  static constexpr std::array<int, 4> ending = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  std::array<struct sigaction, ending.size()> before_{};
  void (*stop_before_)(int) = SIG_DFL;
};

class NoEcho {
 public:
  NoEcho() : known_(::tcgetattr(STDIN_FILENO, &before_) == 0) {
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (known_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
  }
  NoEcho(const NoEcho&) = delete;
  NoEcho& operator=(const NoEcho&) = delete;
  ~NoEcho() {
    if (known_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }

 private:
  termios before_{};
  bool known_;
};

// Byte by byte: what comes behind the line is not ours.
Result<std::string> read_line() {
  std::string line;
  while (line.size() < longest_answer) {
    char c = 0;
    ssize_t count = ::read(STDIN_FILENO, &c, 1);
    if (interrupted) return fail(Errc::cancelled, "interrupted");
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno("read standard input");
    if (count == 0 || c == '\n') return line;
    line += c;
  }
  return fail(Errc::invalid_argument, "read standard input: the line is too long");
}

Result<> need_terminal(const std::string& question) {
  if (::isatty(STDIN_FILENO) != 0) return {};
  return fail(Errc::invalid_argument, fmt::format("ask \"{}\": standard input is no terminal", question));
}

void show(const std::string& text) {
  fmt::print(stderr, "{}", text);
  std::fflush(stderr);
}

}  // namespace

Result<std::string> ask(const std::string& question) {
  TRY(need_terminal(question));
  show(question + ": ");
  InterruptsRead guard;
  return read_line();
}

Result<std::string> ask_secret(const std::string& question) {
  TRY(need_terminal(question));
  show(question + ": ");
  InterruptsRead guard;
  NoEcho quiet;
  auto line = read_line();
  show("\n");
  return line;
}

Result<bool> confirm(const std::string& question) {
  auto answer = ask(question + " [y/N]");
  if (!answer) return std::unexpected(answer.error());
  return *answer == "y" || *answer == "Y" || *answer == "yes";
}

Result<std::string> read_secret_from_stdin() {
  std::string text(longest_answer, '\0');
  size_t count = TRY(read_full(STDIN_FILENO, std::as_writable_bytes(std::span(text))));
  if (count == text.size())
    return fail(Errc::invalid_argument, "read the password from standard input: it is too long");
  text.resize(count);
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

}  // namespace diatom::cli
