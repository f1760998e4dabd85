#include "spawn.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "cgroup.h"
#include "channel/connection.h"
#include "program.h"

namespace diatom::agent {

namespace {

using channel::StartFailure;

std::unexpected<StartFailure> failure(const Error& error) { return std::unexpected(StartFailure{125, error.message}); }

std::unexpected<StartFailure> failure(std::string_view what) {
  return failure(fail_errno("start process: " + std::string(what)).error());
}

constexpr uint64_t namespaces_of_container = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC;

pid_t clone_into_cgroup(uint64_t namespaces) {
  UniqueFd cgroup(::open(container_cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  clone_args args{};
  args.flags = namespaces;
  args.exit_signal = SIGCHLD;
  if (cgroup) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(cgroup.get());
  }
  return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
}

// Words one by one, between a new process and the agent.
Result<platform::SocketPair> make_control() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return fail_errno("make control socket");
  return platform::SocketPair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// The agent's children are born into the container's pid namespace until it goes out of scope.
class ChildrenIn {
 public:
  explicit ChildrenIn(const UniqueFd& first) : own_(::open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC)) {
    entered_ = own_ && ::setns(first.get(), CLONE_NEWPID) == 0;
  }
  ChildrenIn(const ChildrenIn&) = delete;
  ChildrenIn& operator=(const ChildrenIn&) = delete;
  ChildrenIn(ChildrenIn&&) = delete;
  ChildrenIn& operator=(ChildrenIn&&) = delete;
  ~ChildrenIn() {
    int saved = errno;
    if (entered_) ::setns(own_.get(), CLONE_NEWPID);
    errno = saved;
  }
  bool entered() const { return entered_; }

 private:
  UniqueFd own_;
  bool entered_ = false;
};

Result<Pipes> make_pipes() {
  Pipes pipes{TRY(platform::make_pipe()), TRY(platform::make_pipe()), TRY(platform::make_pipe())};
  for (const platform::Pipe* pipe : {&pipes.output, &pipes.error})
    platform::widen_pipe(pipe->write_end.get(), channel::wide_send_buffer);
  return pipes;
}

void make_nonblocking(const UniqueFd& fd) {
  if (fd) ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

Spawned streams_of(const channel::ProcessConfig& process, Pipes pipes) {
  Spawned streams;
  if (process.tty) return streams;  // the terminal follows
  if (process.open_stdin) streams.stdin_fd = std::move(pipes.input.write_end);
  streams.stdout_fd = std::move(pipes.output.read_end);
  streams.stderr_fd = std::move(pipes.error.read_end);
  for (const UniqueFd* fd : {&streams.stdin_fd, &streams.stdout_fd, &streams.stderr_fd}) make_nonblocking(*fd);
  return streams;
}

}  // namespace

std::expected<Spawning, StartFailure> spawn(const channel::ContainerConfig& container,
                                            const channel::ProcessConfig& process, pid_t first) {
  auto pipes = make_pipes();
  if (!pipes) return failure(pipes.error());
  auto control = make_control();
  if (!control) return failure(control.error());
  auto [ours, theirs] = std::move(*control);
  make_nonblocking(ours);
  UniqueFd first_process(first > 0 ? static_cast<int>(::syscall(SYS_pidfd_open, first, 0)) : -1);
  if (first > 0 && !first_process) return failure("find the first process");

  Spawning spawning;
  if (!process.tool.empty()) {
    spawning.pid_ = ::fork();
  } else if (first > 0) {
    ChildrenIn container_pids(first_process);
    if (!container_pids.entered()) return failure("enter the container's pids");
    spawning.pid_ = clone_into_cgroup(0);
  } else {
    spawning.pid_ = clone_into_cgroup(namespaces_of_container);
  }
  if (spawning.pid_ < 0) return failure("clone");
  if (spawning.pid_ == 0) become_program({container, process, *pipes, theirs.get(), first_process.get()});
  spawning.control_ = std::move(ours);
  spawning.streams_ = streams_of(process, std::move(*pipes));
  return spawning;
}

Result<std::unique_ptr<WaitingProcess>> WaitingProcess::make(const channel::Preparation& preparation) {
  std::unique_ptr<WaitingProcess> waiting(new WaitingProcess(preparation.container, TRY(make_pipes())));
  platform::Pipe orders = TRY(platform::make_pipe());
  auto [ours, theirs] = TRY(make_control());
  channel::ProcessConfig unknown;
  unknown.argv = {preparation.program};
  unknown.env = preparation.env;
  unknown.open_stdin = true;
  waiting->pid_ = clone_into_cgroup(namespaces_of_container);
  if (waiting->pid_ < 0) return fail_errno("make the first process");
  if (waiting->pid_ == 0)
    await_program({.container = preparation.container,
                   .process = unknown,
                   .pipes = waiting->pipes_,
                   .control = theirs.get(),
                   .orders = orders.read_end.get()});
  theirs.reset();
  waiting->orders_ = std::move(orders.write_end);  // it is ours to end from here on
  std::array<char, 4096> word;
  ssize_t got = -1;
  while ((got = ::recv(ours.get(), word.data(), word.size(), 0)) < 0 && errno == EINTR) {
  }
  if (got < 0) return fail_errno("hear from the first process");
  if (got == 0) return fail(Errc::guest, "make the first process: it has ended");
  if (word[0] != 0) return fail(Errc::guest, std::string(&word[1], static_cast<size_t>(got - 1)));
  make_nonblocking(ours);
  waiting->control_ = std::move(ours);
  for (const char* kind : {"mnt", "uts", "ipc", "cgroup"})
    waiting->namespaces_.emplace_back(
        ::open(("/proc/" + std::to_string(waiting->pid_) + "/ns/" + kind).c_str(), O_RDONLY | O_CLOEXEC));
  return waiting;
}

WaitingProcess::~WaitingProcess() {
  if (!orders_ || pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

bool WaitingProcess::fits(const channel::ContainerConfig& container) const {
  return container.tmpfs.empty() && container.sysctls.empty() && container.shm_bytes == container_.shm_bytes &&
         container.privileged == container_.privileged && container.has_upper == container_.has_upper &&
         container.network.has_value() == container_.network.has_value();
}

std::expected<Spawning, StartFailure> WaitingProcess::go_on(std::string_view container_text,
                                                            std::string_view process_text,
                                                            const channel::ProcessConfig& process) {
  auto told = write_all(orders_.get(), print_orders(container_text, process_text));
  if (!told) return failure(told.error());
  orders_.reset();
  Spawning spawning;
  spawning.pid_ = pid_;
  spawning.control_ = std::move(control_);
  spawning.streams_ = streams_of(process, std::move(pipes_));
  return spawning;
}

std::optional<std::expected<Spawned, StartFailure>> Spawning::result() {
  for (;;) {
    std::array<char, 4096> buffer;
    std::array<char, CMSG_SPACE(sizeof(int))> space{};
    iovec data{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = space.data();
    message.msg_controllen = space.size();
    ssize_t got = ::recvmsg(control_.get(), &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return std::nullopt;
    if (got <= 0) return std::move(streams_);  // its end of the socket was closed: with its exec, or with its end
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header == nullptr)
      return std::unexpected(
          StartFailure{static_cast<unsigned char>(buffer[0]), std::string(&buffer[1], static_cast<size_t>(got - 1))});
    int terminal = -1;
    std::memcpy(&terminal, CMSG_DATA(header), sizeof terminal);
    streams_.stdout_fd.reset(terminal);
    streams_.stdin_fd.reset(::fcntl(terminal, F_DUPFD_CLOEXEC, 0));
    make_nonblocking(streams_.stdout_fd);
  }
}

}  // namespace diatom::agent
