#include "spawn.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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
  int control[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0) return failure("make control socket");
  UniqueFd ours(control[0]);
  UniqueFd theirs(control[1]);
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
    spawning.pid_ = clone_into_cgroup(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC);
  }
  if (spawning.pid_ < 0) return failure("clone");
  if (spawning.pid_ == 0) become_program({container, process, *pipes, theirs.get(), first_process.get()});
  spawning.control_ = std::move(ours);
  spawning.streams_ = streams_of(process, std::move(*pipes));
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
