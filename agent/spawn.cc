#include "spawn.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "base/platform/platform.h"
#include "mounts.h"
#include "packet_sockets.h"
#include "users.h"

namespace diatom::agent {

namespace {

using channel::StartFailure;

// docker's default set, as /proc/PID/status prints it: chown, dac_override, fowner, fsetid, kill, setgid, setuid,
// setpcap, net_bind_service, net_raw, sys_chroot, mknod, audit_write, setfcap.
constexpr uint64_t default_capabilities = 0xa80425fb;
constexpr size_t largest_user_database = 4 << 20;

struct Pipes {
  platform::Pipe input;
  platform::Pipe output;
  platform::Pipe error;
};

StartFailure failure(const Error& error) { return {125, error.message}; }

// ---- In the new process. Whatever fails is said on the control socket; its end without a word is success.

[[noreturn]] void give_up(int control, const StartFailure& reason) {
  std::string message(1, static_cast<char>(reason.exit_code));
  message += reason.message.substr(0, 4000);
  [[maybe_unused]] ssize_t ignored = ::send(control, message.data(), message.size(), MSG_NOSIGNAL);
  ::_exit(reason.exit_code);
}

// A hostile image may have a device or a fifo there: reading it must not hang.
std::string read_user_database(const char* path) {
  UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status{};
  if (!fd || ::fstat(fd.get(), &status) < 0 || !S_ISREG(status.st_mode)) return "";
  return read_file("/proc/self/fd/" + std::to_string(fd.get()), largest_user_database).value_or("");
}

// The terminal is the container's own devpts's; its master goes to the agent through the control socket.
Result<UniqueFd> open_terminal(const channel::ProcessConfig& process, int control) {
  UniqueFd master = TRY(open_file("/dev/pts/ptmx", O_RDWR | O_NOCTTY));
  int unlock = 0;
  if (::ioctl(master.get(), TIOCSPTLCK, &unlock) < 0) return fail_errno("unlock terminal");
  UniqueFd slave(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!slave) return fail_errno("open terminal");
  winsize size{};
  size.ws_row = process.rows;
  size.ws_col = process.cols;
  ::ioctl(master.get(), TIOCSWINSZ, &size);
  int number = 0;
  ::ioctl(master.get(), TIOCGPTN, &number);
  std::string name = "/dev/pts/" + std::to_string(number);
  UniqueFd console(::open("/dev/console", O_CREAT | O_WRONLY | O_CLOEXEC | O_NOCTTY, 0620));
  ::mount(name.c_str(), "/dev/console", nullptr, MS_BIND, nullptr);

  std::array<char, CMSG_SPACE(sizeof(int))> space{};
  char byte = 0;
  iovec data{&byte, 1};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = space.data();
  message.msg_controllen = space.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  int fd = master.get();
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  if (::sendmsg(control, &message, MSG_NOSIGNAL) < 0) return fail_errno("hand terminal over");
  return slave;
}

Result<> connect_stdio(const channel::ProcessConfig& process, const Pipes& pipes, const User& user, int control) {
  std::array<int, 3> fds{};
  UniqueFd terminal;
  UniqueFd null;
  if (process.tty) {
    terminal = TRY(open_terminal(process, control));
    fds.fill(terminal.get());
    if (::ioctl(terminal.get(), TIOCSCTTY, 0) < 0) return fail_errno("take terminal");
    // ttys belong to the group "tty", 5 everywhere.
    if (::fchown(terminal.get(), user.uid, 5) < 0) return fail_errno("own terminal");
  } else {
    null = TRY(open_file("/dev/null", O_RDONLY));
    fds = {process.open_stdin ? pipes.input.read_end.get() : null.get(), pipes.output.write_end.get(),
           pipes.error.write_end.get()};
    for (int fd : fds) [[maybe_unused]]
      int ignored = ::fchown(fd, user.uid, user.gid);  // so that /dev/stdout can be opened by the user
  }
  for (int target = 0; target < 3; ++target)
    if (::dup2(fds[static_cast<size_t>(target)], target) < 0) return fail_errno("connect stdio");
  return {};
}

Result<> enter_directory(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    ::mkdir(path.substr(0, slash).c_str(), 0755);
  ::mkdir(path.c_str(), 0755);
  if (::chdir(path.c_str()) < 0) return fail_errno("enter working directory " + path);
  return {};
}

Result<> drop_privileges(const User& user) {
  for (unsigned capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
    if ((default_capabilities >> capability & 1) == 0 && ::prctl(PR_CAPBSET_DROP, capability) < 0)
      return fail_errno("drop capabilities");
  if (::setgroups(user.groups.size(), user.groups.data()) < 0) return fail_errno("set groups");
  if (::setresgid(user.gid, user.gid, user.gid) < 0) return fail_errno("set group");
  if (::setresuid(user.uid, user.uid, user.uid) < 0) return fail_errno("set user");
  if (user.uid != 0) return {};  // the kernel took all capabilities away with the user
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  constexpr auto low = static_cast<uint32_t>(default_capabilities);
  constexpr auto high = static_cast<uint32_t>(default_capabilities >> 32);
  __user_cap_data_struct sets[2] = {{low, low, 0}, {high, high, 0}};
  if (::syscall(SYS_capset, &header, sets) < 0) return fail_errno("set capabilities");
  return {};
}

void reset_process_attributes() {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::umask(0022);
  rlimit files{1024, 524288};  // what systemd and docker give
  ::setrlimit(RLIMIT_NOFILE, &files);
}

const char* variable(const std::vector<std::string>& env, std::string_view key) {
  for (const auto& entry : env)
    if (entry.size() > key.size() && entry.starts_with(key) && entry[key.size()] == '=') return &entry[key.size() + 1];
  return nullptr;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (const auto& entry : strings) out.push_back(const_cast<char*>(entry.c_str()));
  out.push_back(nullptr);
  return out;
}

// execvpe(3), but telling the ways to fail apart as docker does.
StartFailure execute(const channel::ProcessConfig& process, const std::vector<std::string>& env) {
  std::vector<char*> argv = pointers(process.argv);
  std::vector<char*> environment = pointers(env);
  const std::string& program = process.argv.front();
  std::string quoted = "exec \"" + program + "\": ";
  auto reason = [&quoted](int error) {
    return StartFailure{error == ENOENT || error == ENOTDIR ? 127 : 126, quoted + std::strerror(error)};
  };
  auto is_directory = [](const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
  };
  if (program.find('/') != std::string::npos) {
    ::execve(program.c_str(), argv.data(), environment.data());
    int error = errno;
    return is_directory(program) ? StartFailure{126, quoted + "it is a directory"} : reason(error);
  }
  const char* found = variable(env, "PATH");
  std::string path = found != nullptr ? found : "";
  int denied = 0;
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find(':', begin), path.size());
    std::string directory = path.substr(begin, end - begin);
    begin = end + 1;
    std::string candidate = (directory.empty() ? "." : directory) + "/" + program;
    ::execve(candidate.c_str(), argv.data(), environment.data());
    if (errno == ENOENT || errno == ENOTDIR || is_directory(candidate)) continue;
    if (errno != EACCES) return reason(errno);
    denied = EACCES;
  }
  if (denied != 0) return reason(denied);
  return {127, quoted + "executable file not found in $PATH"};
}

Result<> set_up(const channel::ContainerConfig& container, const channel::ProcessConfig& process, const Pipes& pipes,
                int control, std::vector<std::string>& env) {
  if (::unshare(CLONE_NEWCGROUP) < 0) return fail_errno("make cgroup namespace");
  if (::sethostname(container.hostname.data(), container.hostname.size()) < 0) return fail_errno("set host name");
  // The agent's keys are not the container's. A kernel may have none at all.
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 && errno != ENOSYS)
    return fail_errno("make session keyring");
  TRY(enter_container_root(container));
  User user = TRY(resolve_user(process.user, read_user_database("/etc/passwd"), read_user_database("/etc/group")));
  if (variable(env, "HOME") == nullptr) env.push_back("HOME=" + user.home);
  TRY(connect_stdio(process, pipes, user, control));
  TRY(enter_directory(process.cwd));
  if (container.read_only && ::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) < 0)
    return fail_errno("make root read-only");
  if (auto score = open_file("/proc/self/oom_score_adj", O_WRONLY)) TRY(write_all(score->get(), "0"));
  reset_process_attributes();
  if (container.network && can_forbid_packet_sockets()) TRY(forbid_packet_sockets());
  return drop_privileges(user);
}

[[noreturn]] void become_program(const channel::ContainerConfig& container, const channel::ProcessConfig& process,
                                 const Pipes& pipes, int control) {
  ::setsid();
  std::vector<std::string> env = process.env;
  if (auto ready = set_up(container, process, pipes, control, env); !ready) give_up(control, failure(ready.error()));
  give_up(control, execute(process, env));
}

// ---- In the agent.

// Reads what the new process says until its end of the socket closes: with its exec, or with its end.
std::expected<UniqueFd, StartFailure> await_exec(int control) {
  UniqueFd terminal;
  for (;;) {
    std::array<char, 4096> buffer;
    std::array<char, CMSG_SPACE(sizeof(int))> space{};
    iovec data{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = space.data();
    message.msg_controllen = space.size();
    ssize_t got = ::recvmsg(control, &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return terminal;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header == nullptr)
      return std::unexpected(
          StartFailure{static_cast<unsigned char>(buffer[0]), std::string(&buffer[1], static_cast<size_t>(got - 1))});
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    terminal.reset(fd);
  }
}

pid_t clone_into_container() {
  UniqueFd cgroup(::open(container_cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  clone_args args{};
  args.flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC;
  args.exit_signal = SIGCHLD;
  if (cgroup) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(cgroup.get());
  }
  return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
}

Result<Pipes> make_pipes() {
  return Pipes{TRY(platform::make_pipe()), TRY(platform::make_pipe()), TRY(platform::make_pipe())};
}

void make_nonblocking(const UniqueFd& fd) {
  if (fd) ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

}  // namespace

std::expected<Spawned, StartFailure> spawn_first_process(const channel::ContainerConfig& container,
                                                         const channel::ProcessConfig& process) {
  auto pipes = make_pipes();
  if (!pipes) return std::unexpected(failure(pipes.error()));
  int control[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
    return std::unexpected(StartFailure{125, std::string("make control socket: ") + std::strerror(errno)});
  UniqueFd ours(control[0]);
  UniqueFd theirs(control[1]);
  Spawned spawned;
  spawned.pid = clone_into_container();
  if (spawned.pid < 0)
    return std::unexpected(StartFailure{125, std::string("clone first process: ") + std::strerror(errno)});
  if (spawned.pid == 0) become_program(container, process, *pipes, theirs.get());
  theirs.reset();

  auto terminal = await_exec(ours.get());
  if (!terminal) {
    while (::waitpid(spawned.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return std::unexpected(terminal.error());
  }
  if (process.tty) {
    spawned.stdin_fd.reset(::fcntl(terminal->get(), F_DUPFD_CLOEXEC, 0));
    spawned.stdout_fd = std::move(*terminal);
  } else {
    if (process.open_stdin) spawned.stdin_fd = std::move(pipes->input.write_end);
    spawned.stdout_fd = std::move(pipes->output.read_end);
    spawned.stderr_fd = std::move(pipes->error.read_end);
  }
  for (const UniqueFd* fd : {&spawned.stdin_fd, &spawned.stdout_fd, &spawned.stderr_fd}) make_nonblocking(*fd);
  return spawned;
}

}  // namespace diatom::agent
