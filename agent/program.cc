#include "program.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <type_traits>

#include "base/file.h"
#include "boot.h"
#include "capabilities.h"
#include "execute.h"
#include "init.h"
#include "mounts.h"
#include "packet_sockets.h"
#include "read_ahead.h"
#include "settings.h"
#include "tools.h"
#include "users.h"

namespace diatom::agent {

namespace {

using channel::StartFailure;

constexpr size_t largest_user_database = 4 << 20;

// Where the descriptors that a new process needs are, above its three streams; no other is open.
constexpr int control_fd = 3;
constexpr int log_fd = 4;
constexpr int first_process_fd = 5;
constexpr int orders_fd = 6;
constexpr int above_all = 64;

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

// The agent's other descriptors are closed before anything of the container's is entered: they would hold other
// processes' streams open, and are nobody's business there.
Result<> take_descriptors(const Birth& birth) {
  UniqueFd null = TRY(open_file("/dev/null", O_RDWR));
  bool piped = !birth.process.tty;
  std::array wanted = {
      std::pair{piped && birth.process.open_stdin ? birth.pipes.input.read_end.get() : null.get(), 0},
      std::pair{piped ? birth.pipes.output.write_end.get() : null.get(), 1},
      std::pair{piped ? birth.pipes.error.write_end.get() : null.get(), 2},
      std::pair{birth.control, control_fd},
      std::pair{log_descriptor(), log_fd},
      std::pair{birth.first_process, first_process_fd},
      std::pair{birth.orders, orders_fd},
  };
  for (auto& [from, to] : wanted)
    if (from >= 0 && (from = ::fcntl(from, F_DUPFD_CLOEXEC, above_all)) < 0) return fail_errno("move descriptor");
  for (auto [from, to] : wanted) {
    if (from < 0)
      ::close(to);  // what the agent has there is not this process's
    else if (::dup3(from, to, to < control_fd ? 0 : O_CLOEXEC) < 0)
      return fail_errno("connect stdio");
  }
  static_cast<void>(null.release());  // closed with the rest
  ::close_range(orders_fd + 1, ~0U, 0);
  if (log_descriptor() >= 0) use_log_descriptor(log_fd);
  return {};
}

// The terminal is the container's own devpts's; its master goes to the agent through the control socket.
Result<> hand_over(const UniqueFd& master) {
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
  if (::sendmsg(control_fd, &message, MSG_NOSIGNAL) < 0) return fail_errno("hand terminal over");
  return {};
}

Result<UniqueFd> open_terminal(const channel::ProcessConfig& process, bool is_console) {
  UniqueFd master = TRY(open_file("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK));
  int unlock = 0;
  if (::ioctl(master.get(), TIOCSPTLCK, &unlock) < 0) return fail_errno("unlock terminal");
  UniqueFd slave(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!slave) return fail_errno("open terminal");
  winsize size{};
  size.ws_row = process.rows;
  size.ws_col = process.cols;
  ::ioctl(master.get(), TIOCSWINSZ, &size);
  if (is_console) {
    int number = 0;
    ::ioctl(master.get(), TIOCGPTN, &number);
    std::string name = "/dev/pts/" + std::to_string(number);
    UniqueFd console(::open("/dev/console", O_CREAT | O_WRONLY | O_CLOEXEC | O_NOCTTY, 0620));
    ::mount(name.c_str(), "/dev/console", nullptr, MS_BIND, nullptr);
  }
  TRY(hand_over(master));
  return slave;
}

// The container's own, if that is what it has there; until then it is the agent's.
void connect_null() {
  UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status{};
  if (null && ::fstat(null.get(), &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3)) {
    ::fcntl(null.get(), F_SETFL, 0);
    ::dup2(null.get(), 0);
  }
}

Result<> connect_stdio(const Birth& birth, const User& user) {
  const channel::ProcessConfig& process = birth.process;
  if (!process.tty) {
    if (!process.open_stdin) connect_null();
    // So that /dev/stdout can be opened by the user.
    for (int fd = process.open_stdin ? 0 : 1; fd < 3; ++fd) [[maybe_unused]]
      int ignored = ::fchown(fd, user.uid, user.gid);
    return {};
  }
  UniqueFd terminal = TRY(open_terminal(process, birth.is_first()));
  if (::ioctl(terminal.get(), TIOCSCTTY, 0) < 0) return fail_errno("take terminal");
  // ttys belong to the group "tty", 5 everywhere.
  if (::fchown(terminal.get(), user.uid, 5) < 0) return fail_errno("own terminal");
  for (int target = 0; target < 3; ++target)
    if (::dup2(terminal.get(), target) < 0) return fail_errno("connect stdio");
  return {};
}

// The container's is made, as docker does; an exec's must be there.
Result<> enter_directory(const std::string& path, bool make) {
  for (size_t slash = path.find('/', 1); make && slash != std::string::npos; slash = path.find('/', slash + 1))
    ::mkdir(path.substr(0, slash).c_str(), 0755);
  if (make) ::mkdir(path.c_str(), 0755);
  if (::chdir(path.c_str()) < 0) return fail_errno("enter working directory " + path);
  return {};
}

Result<> set_sysctls(const std::vector<channel::Sysctl>& settings) {
  for (const channel::Sysctl& setting : settings) {
    std::string path = TRY(sysctl_path(setting.name));
    std::string what = "set sysctl " + setting.name + "=" + setting.value;
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd || ::write(fd.get(), setting.value.data(), setting.value.size()) < 0) return fail_errno(what);
  }
  return {};
}

Result<> set_limits(const std::vector<channel::Ulimit>& limits) {
  rlimit files{1024, 524288};  // what systemd and docker give
  ::setrlimit(RLIMIT_NOFILE, &files);
  for (const channel::Ulimit& limit : limits) {
    int number = TRY(limit_number(limit.name));
    rlimit values{limit.soft, limit.hard};
    if (::setrlimit(static_cast<__rlimit_resource>(number), &values) < 0)
      return fail_errno("set limit " + limit.name + "=" + std::to_string(limit.soft) + ":" +
                        std::to_string(limit.hard));
  }
  return {};
}

Result<> drop_privileges(const Birth& birth, const User& user) {
  uint64_t kept = TRY(capability_set(birth.container.cap_add, birth.container.cap_drop));
  if (birth.container.privileged || birth.process.privileged) kept = all_capabilities;
  for (unsigned capability = 0; capability < 64 && ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
    if ((kept >> capability & 1) == 0 && ::prctl(PR_CAPBSET_DROP, capability) < 0)
      return fail_errno("drop capabilities");
  if (::setgroups(user.groups.size(), user.groups.data()) < 0) return fail_errno("set groups");
  if (::setresgid(user.gid, user.gid, user.gid) < 0) return fail_errno("set group");
  if (::setresuid(user.uid, user.uid, user.uid) < 0) return fail_errno("set user");
  if (birth.container.no_new_privileges && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    return fail_errno("forbid new privileges");
  if (user.uid != 0) return {};  // the kernel took all capabilities away with the user
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  auto low = static_cast<uint32_t>(kept);
  auto high = static_cast<uint32_t>(kept >> 32);
  __user_cap_data_struct sets[2] = {{low, low, 0}, {high, high, 0}};
  if (::syscall(SYS_capset, &header, sets) < 0) return fail_errno("set capabilities");
  return {};
}

void reset_signals() {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

Result<> name_host(const std::string& name) {
  return ::sethostname(name.data(), name.size()) < 0 ? fail_errno("set host name") : Result<>();
}

Result<> make_namespaces(const Birth& birth) {
  if (::unshare(CLONE_NEWCGROUP) < 0) return fail_errno("make cgroup namespace");
  TRY(name_host(birth.container.hostname));
  TRY(set_sysctls(birth.container.sysctls));  // while /proc/sys can be written
  return enter_container_root(birth.container);
}

Result<> enter_namespaces() {
  constexpr int kinds = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP;  // its root comes with CLONE_NEWNS
  if (::setns(first_process_fd, kinds) < 0) return fail_errno("enter the container");
  ::close(first_process_fd);
  return {};
}

Result<> enter_container(const Birth& birth) {
  if (auto score = open_file("/proc/self/oom_score_adj", O_WRONLY)) TRY(write_all(score->get(), "0"));
  return birth.is_first() ? make_namespaces(birth) : enter_namespaces();
}

struct UserDatabases {
  std::string passwd;
  std::string group;
};

// In the container; what of the way to a program does not depend on which it is.
Result<UserDatabases> settle(const Birth& birth) {
  // The agent's keys are not the container's. A kernel may have none at all.
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 && errno != ENOSYS)
    return fail_errno("make session keyring");
  bool guarded = birth.container.network && !birth.container.privileged && !birth.process.privileged;
  if (guarded && can_forbid_packet_sockets()) TRY(forbid_packet_sockets());
  return UserDatabases{read_user_database("/etc/passwd"), read_user_database("/etc/group")};
}

Result<> set_up(const Birth& birth, const UserDatabases& users, std::vector<std::string>& env) {
  const channel::ProcessConfig& process = birth.process;
  User user = TRY(resolve_user(process.user, users.passwd, users.group, process.groups));
  if (variable(env, "HOME") == nullptr) env.push_back("HOME=" + user.home);
  TRY(connect_stdio(birth, user));
  TRY(enter_directory(process.cwd, birth.is_first()));
  if (birth.is_first() && birth.container.read_only &&
      ::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) < 0)
    return fail_errno("make root read-only");
  reset_signals();
  ::umask(0022);
  TRY(set_limits(birth.container.ulimits));
  return drop_privileges(birth, user);
}

// The first process stays, and a child of its own becomes the program.
void stay_as_init() {
  block_signals();
  pid_t program = ::fork();
  if (program < 0) give_up(control_fd, {125, std::string("fork below init: ") + std::strerror(errno)});
  if (program > 0) run_init(program);
  leave_init();
}

// Where it is killed for memory, rather than the agent.
constexpr std::string_view tool_oom_score = "500";

// What the container's programs see where they run; the bare root where none does.
Result<> enter_tool_root(bool is_running) {
  if (is_running) {
    if (::setns(first_process_fd, CLONE_NEWNS) < 0) return fail_errno("enter the container");
    return {};
  }
  if (::chdir("/container") < 0 || ::chroot(".") < 0) return fail_errno("enter the container's root");
  return {};
}

[[noreturn]] void become_tool(const Birth& birth) {
  const Tool* tool = find_tool(birth.process.tool);
  if (tool == nullptr) give_up(control_fd, {127, "there is no tool \"" + birth.process.tool + "\""});
  if (auto score = open_file("/proc/self/oom_score_adj", O_WRONLY)) [[maybe_unused]]
    auto ignored = write_all(score->get(), tool_oom_score);
  if (tool->inside)
    if (auto entered = enter_tool_root(!birth.is_first()); !entered)
      give_up(control_fd, {125, entered.error().message});
  ::close_range(control_fd, ~0U, 0);  // it has begun
  run_tool(*tool, birth.process.argv);
}

// What fails from here on is said.
template <class T>
T expect(Result<T> result) {
  if (!result) give_up(control_fd, {125, result.error().message});
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

[[noreturn]] void execute_in_container(const Birth& birth, const UserDatabases& users) {
  std::vector<std::string> env = birth.process.env;
  expect(set_up(birth, users, env));
  if (birth.is_first() && birth.container.init) stay_as_init();
  give_up(control_fd, execute(birth.process.argv, env));
}

struct Orders {
  channel::ContainerConfig container;
  channel::ProcessConfig process;
};

// Empty: there will be none.
Result<std::optional<Orders>> read_orders() {
  std::string text = TRY(read_to_end(orders_fd, "what is to be executed"));
  ::close(orders_fd);
  uint64_t size = 0;
  if (text.size() < sizeof size) return std::nullopt;
  std::memcpy(&size, text.data(), sizeof size);
  std::string_view rest = std::string_view(text).substr(sizeof size);
  return Orders{TRY(channel::decode_container_config(rest.substr(0, size))),
                TRY(channel::decode_process_config(rest.substr(std::min<size_t>(size, rest.size()))))};
}

}  // namespace

void become_program(const Birth& birth) {
  ::setsid();
  if (auto taken = take_descriptors(birth); !taken) give_up(birth.control, {125, taken.error().message});
  if (!birth.process.tool.empty()) become_tool(birth);
  expect(enter_container(birth));
  execute_in_container(birth, expect(settle(birth)));
}

void await_program(const Birth& birth) {
  ::setsid();
  if (auto taken = take_descriptors(birth); !taken) give_up(birth.control, {125, taken.error().message});
  expect(enter_container(birth));
  UserDatabases users = expect(settle(birth));
  read_ahead(birth.process.argv.front(), birth.process.env);
  [[maybe_unused]] ssize_t ignored = ::send(control_fd, "", 1, MSG_NOSIGNAL);
  auto orders = expect(read_orders());
  if (!orders) ::_exit(0);
  expect(name_host(orders->container.hostname));
  execute_in_container({orders->container, orders->process, birth.pipes, control_fd}, users);
}

std::string print_orders(std::string_view container, std::string_view process) {
  uint64_t size = container.size();
  std::string text(sizeof size, '\0');
  std::memcpy(text.data(), &size, sizeof size);
  return text.append(container).append(process);
}

}  // namespace diatom::agent
