#include "base/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/file.h"
#include "base/platform/platform.h"

namespace diatom {

namespace {

using Clock = std::chrono::steady_clock;

// Everything that the child needs, prepared before fork: after it only async-signal-safe calls are allowed.
struct Prepared {
  std::string program;
  std::vector<char*> argv;
  std::vector<char*> environment;
  int highest_target = 2;
};

int remaining_ms(Clock::time_point deadline) {
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30));
}

[[noreturn]] void report_and_exit(int report_fd) {
  int error = errno;
  [[maybe_unused]] ssize_t ignored = ::write(report_fd, &error, sizeof error);
  ::_exit(127);
}

[[noreturn]] void become(const Prepared& prepared, const ChildOptions& options, int report_fd, int null_fd) {
  // A handler does not survive exec, but an ignored or blocked signal does: start clean.
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);

  // Move every source above the targets first, so that no dup2 overwrites one that is still needed.
  int floor = prepared.highest_target + 1;
  int report = ::fcntl(report_fd, F_DUPFD_CLOEXEC, floor);
  if (report < 0) report_and_exit(report_fd);
  int null = ::fcntl(null_fd, F_DUPFD_CLOEXEC, floor);
  int lifted[64];
  size_t count = std::min(options.fds.size(), std::size(lifted));
  for (size_t i = 0; i < count; ++i)
    if ((lifted[i] = ::fcntl(options.fds[i].first, F_DUPFD_CLOEXEC, floor)) < 0) report_and_exit(report);
  for (int fd = 0; fd <= 2; ++fd) ::dup2(null, fd);
  for (size_t i = 0; i < count; ++i)
    if (::dup2(lifted[i], options.fds[i].second) < 0) report_and_exit(report);

  ::execve(prepared.program.c_str(), prepared.argv.data(), prepared.environment.data());
  report_and_exit(report);
}

bool is_program(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

std::optional<std::string> find_program(std::string_view name) {
  if (name.find('/') != std::string_view::npos) return std::string(name);
  const char* path = std::getenv("PATH");
  std::string list = std::string(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin") + ":/usr/sbin:/sbin";
  for (size_t begin = 0; begin <= list.size();) {
    size_t end = std::min(list.find(':', begin), list.size());
    std::string candidate = list.substr(begin, end - begin) + "/" + std::string(name);
    if (end > begin && is_program(candidate)) return candidate;
    begin = end + 1;
  }
  return std::nullopt;
}

namespace {

Result<Prepared> prepare(const ChildOptions& options) {
  Prepared prepared;
  auto program = find_program(options.argv.at(0));
  if (!program) return fail(Errc::not_found, "start " + options.argv[0] + ": no such program in PATH");
  prepared.program = *program;
  for (const auto& arg : options.argv) prepared.argv.push_back(const_cast<char*>(arg.c_str()));
  prepared.argv.push_back(nullptr);
  if (options.inherit_environment) {
    for (char** entry = platform::environment(); *entry != nullptr; ++entry) prepared.environment.push_back(*entry);
  } else {
    for (const auto& entry : options.environment) prepared.environment.push_back(const_cast<char*>(entry.c_str()));
  }
  prepared.environment.push_back(nullptr);
  for (auto [ours, theirs] : options.fds) prepared.highest_target = std::max(prepared.highest_target, theirs);
  return prepared;
}

}  // namespace

Result<Child> Child::spawn(const ChildOptions& options) {
  Prepared prepared = TRY(prepare(options));
  UniqueFd null = TRY(open_file("/dev/null", O_RDWR));
  platform::Pipe report = TRY(platform::make_pipe());
  pid_t parent = ::getpid();
  pid_t pid = ::fork();
  if (pid < 0) return fail_errno("fork for " + options.argv[0]);
  if (pid == 0) {
    if (options.die_with_parent && !platform::die_with_parent(parent)) ::_exit(127);
    if (options.new_process_group) ::setpgid(0, 0);
    become(prepared, options, report.write_end.get(), null.get());
  }
  report.write_end.reset();

  auto exit_event = platform::open_exit_event(pid);
  int exec_error = 0;
  auto got = read_full(report.read_end.get(), std::as_writable_bytes(std::span(&exec_error, 1)));
  if (!exit_event || !got || *got != 0) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    if (!exit_event) return std::unexpected(exit_event.error());
    return fail_errno("start " + prepared.program, exec_error);
  }
  return Child(pid, std::move(*exit_event));
}

Result<> spawn_detached(const ChildOptions& options) {
  Prepared prepared = TRY(prepare(options));
  UniqueFd null = TRY(open_file("/dev/null", O_RDWR));
  platform::Pipe report = TRY(platform::make_pipe());
  pid_t pid = ::fork();
  if (pid < 0) return fail_errno("fork for " + options.argv[0]);
  if (pid == 0) {
    ::setsid();
    pid_t orphan = ::fork();
    if (orphan < 0) report_and_exit(report.write_end.get());
    if (orphan > 0) ::_exit(0);
    become(prepared, options, report.write_end.get(), null.get());
  }
  report.write_end.reset();
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  int exec_error = 0;
  if (TRY(read_full(report.read_end.get(), std::as_writable_bytes(std::span(&exec_error, 1)))) != 0)
    return fail_errno("start " + prepared.program, exec_error);
  return {};
}

Child& Child::operator=(Child&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(exit_event_, other.exit_event_);
  return *this;
}

Child::~Child() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Child::kill(int signal) const {
  if (pid_ > 0) ::kill(pid_, signal);
}

Result<ExitStatus> Child::wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0)
    if (errno != EINTR) return fail_errno("wait for process " + std::to_string(pid_));
  pid_ = -1;
  if (WIFSIGNALED(status)) return ExitStatus{128 + WTERMSIG(status), WTERMSIG(status)};
  return ExitStatus{WEXITSTATUS(status), 0};
}

Result<std::optional<ExitStatus>> Child::wait_for(std::chrono::milliseconds deadline) {
  auto end = Clock::now() + deadline;
  pollfd event{exit_event_.get(), POLLIN, 0};
  int ready;
  do {
    ready = ::poll(&event, 1, remaining_ms(end));
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) return fail_errno("poll");
  if (ready == 0) return std::optional<ExitStatus>();
  ExitStatus status = TRY(wait());
  return std::optional<ExitStatus>(status);
}

Result<CommandOutput> run_command(std::vector<std::string> argv, std::chrono::milliseconds deadline) {
  platform::Pipe out = TRY(platform::make_pipe());
  ChildOptions options;
  options.argv = std::move(argv);
  options.fds = {{out.write_end.get(), 1}, {out.write_end.get(), 2}};
  options.new_process_group = true;  // a Ctrl-C is for us: we tell what became of the work
  Child child = TRY(Child::spawn(options));
  out.write_end.reset();

  CommandOutput result;
  auto end = Clock::now() + deadline;
  char buffer[4096];
  for (;;) {
    pollfd event{out.read_end.get(), POLLIN, 0};
    int ready = ::poll(&event, 1, remaining_ms(end));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return fail(Errc::timeout, "run " + options.argv[0] + ": no end within the deadline");
    ssize_t got = ::read(out.read_end.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (result.output.size() < (1 << 20)) result.output.append(buffer, static_cast<size_t>(got));
  }
  auto status = TRY(child.wait_for(std::chrono::milliseconds(remaining_ms(end))));
  if (!status) return fail(Errc::timeout, "run " + options.argv[0] + ": no end within the deadline");
  result.status = *status;
  return result;
}

}  // namespace diatom
