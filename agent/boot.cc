#include "boot.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "cgroup.h"
#include "disks.h"
#include "identity.h"
#include "mounts.h"
#include "network.h"

namespace diatom::agent {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto clock_deadline = std::chrono::seconds(3);
constexpr auto device_deadline = std::chrono::seconds(20);
constexpr std::string_view port_name = "diatom.agent";
int kernel_log = -1;  // for the life of the process

// The files of a list, in loading order. A kernel with its drivers built in comes without one.
std::vector<UniqueFd> open_modules(const char* list_path) {
  std::vector<UniqueFd> modules;
  std::string list = read_file(list_path).value_or("");
  for (size_t begin = 0; begin < list.size();) {
    size_t end = std::min(list.find('\n', begin), list.size());
    std::string path = list.substr(begin, end - begin);
    begin = end + 1;
    modules.emplace_back(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!modules.back()) log("open " + path + ": " + std::strerror(errno));
    ::unlink(path.c_str());  // its memory is the container's when it is closed
  }
  return modules;
}

void load_modules(std::vector<UniqueFd> modules) {
  for (const UniqueFd& module : modules)
    if (module && ::syscall(SYS_finit_module, module.get(), "", 0) < 0 && errno != EEXIST)
      log(std::string("load module: ") + std::strerror(errno));
}

// Opened while their files can still be seen.
std::vector<UniqueFd>& network_modules() {
  static std::vector<UniqueFd> modules;
  return modules;
}

Result<> leave_first_root() {
  // libkrun's init has shared it, and what is shared cannot be moved.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return fail_errno("make / private");
  ::mkdir("/newroot", 0755);
  TRY(mount_at("tmpfs", "/newroot", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"));
  if (::chdir("/newroot") < 0) return fail_errno("enter /newroot");
  ::unlink("/init");
  if (::mount(".", "/", nullptr, MS_MOVE, nullptr) < 0) return fail_errno("move root");
  if (::chroot(".") < 0 || ::chdir("/") < 0) return fail_errno("enter new root");
  for (const char* directory : {"/dev", "/proc", "/sys", "/image", "/upper", "/container", "/files"})
    ::mkdir(directory, 0755);
  TRY(mount_at("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755"));
  TRY(mount_at("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr));
  return mount_at("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
}

std::optional<std::string> find_port() {
  struct Close {
    void operator()(DIR* directory) const { ::closedir(directory); }
  };
  std::unique_ptr<DIR, Close> ports(::opendir("/sys/class/virtio-ports"));
  if (!ports) return std::nullopt;
  while (const dirent* entry = ::readdir(ports.get())) {
    std::string name = read_file(std::string("/sys/class/virtio-ports/") + entry->d_name + "/name").value_or("");
    if (name.starts_with(port_name)) return std::string("/dev/") + entry->d_name;
  }
  return std::nullopt;
}

// A port gets its name by a message from the host, some time after its driver was loaded.
Result<UniqueFd> open_channel(int uevents) {
  auto deadline = Clock::now() + device_deadline;
  for (;;) {
    if (auto path = find_port()) {
      auto fd = open_file(*path, O_RDWR | O_NONBLOCK);
      if (fd || Clock::now() >= deadline) return fd;
    }
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd event{uevents, POLLIN, 0};
    if (left <= 0 || ::poll(&event, 1, static_cast<int>(left)) == 0)
      return fail(Errc::timeout, "wait for the guest channel: no virtio port is called diatom.agent");
    char message[4096];
    while (::recv(uevents, message, sizeof message, 0) > 0) {
    }
  }
}

// The engine passes it on to a socket of the host's.
Result<UniqueFd> connect_channel(uint32_t port) {
  UniqueFd fd(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_HOST;
  address.svm_port = port;
  if (!fd || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
    return fail_errno("connect to the guest channel, vsock port " + std::to_string(port));
  return fd;
}

// Before anything can go wrong, and before there is a container: its processes may not open this device themselves.
// An initramfs has no devices yet.
void open_log() {
  ::mknod("/dev/kmsg", S_IFCHR | 0600, makedev(1, 11));
  kernel_log = ::open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
}

void bring_loopback_up() {
  UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  if (!fd || ::ioctl(fd.get(), SIOCGIFFLAGS, &request) < 0) return;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  ::ioctl(fd.get(), SIOCSIFFLAGS, &request);
}

// libkrun keeps from the host's network only who has a NIC; a container without a network is not to see that.
void take_nics_away() {
  for (const std::string& name : list_directory("/sys/class/net").value_or(std::vector<std::string>())) {
    std::error_code error;
    fs::path device = fs::canonical("/sys/class/net/" + name + "/device", error);
    if (error) continue;  // no device's: lo
    if (auto driver = open_file("/sys/bus/virtio/drivers/virtio_net/unbind", O_WRONLY)) [[maybe_unused]]
      auto ignored = write_all(driver->get(), device.filename().string());
  }
}

// docker's: what listens below port 1024 needs no root, nor does ping.
void open_network_to_users() {
  for (auto [name, value] : {std::pair{"ip_unprivileged_port_start", "0"}, {"ping_group_range", "0 2147483647"}})
    if (auto setting = open_file(std::string("/proc/sys/net/ipv4/") + name, O_WRONLY)) [[maybe_unused]]
      auto ignored = write_all(setting->get(), value);
}

// The kernel measures its clock for a second, beside all else, and takes another then. Whoever is restored before that
// would have to do it.
void await_clock() {
  constexpr const char* path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
  for (auto deadline = Clock::now() + clock_deadline; Clock::now() < deadline; ::poll(nullptr, 0, 20))
    if (read_file(path, 256).value_or("") != "tsc-early\n") return;
}

// Each VM that is restored has it done already: code that runs there for the first time is what takes its time.
Result<> prepare(const Arguments& arguments) {
  if (arguments.network) prepare_network(*arguments.network);
  prepare_identity();
  TRY(find_disks());
  prepare_cgroup(arguments.network);
  await_clock();
  return {};
}

}  // namespace

int log_descriptor() { return kernel_log; }

void use_log_descriptor(int fd) { kernel_log = fd; }

void log(std::string_view line) {
  if (kernel_log < 0) return;
  std::string text = "<3>diatom agent: " + std::string(line) + "\n";  // 3: shown in spite of "quiet"
  [[maybe_unused]] ssize_t ignored = ::write(kernel_log, text.data(), text.size());
}

Result<UniqueFd> open_uevents() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
  if (!fd) return fail_errno("open uevent socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) return fail_errno("bind uevents");
  return fd;
}

Result<> await_host(const UniqueFd& channel) {
  pollfd event{channel.get(), POLLIN, 0};
  while (::poll(&event, 1, -1) < 0)
    if (errno != EINTR) return fail_errno("wait for the host");
  return {};
}

void load_network_modules() { load_modules(std::exchange(network_modules(), {})); }

Result<UniqueFd> boot(const Arguments& arguments) {
  open_log();
  UniqueFd uevents = TRY(open_uevents());
  load_modules(open_modules("/etc/modules.list"));
  network_modules() = open_modules("/etc/network.list");
  TRY(leave_first_root());
  bring_loopback_up();
  if (arguments.without_nics) take_nics_away();
  open_network_to_users();
  // What the container does with its memory must not end the agent.
  if (auto score = open_file("/proc/self/oom_score_adj", O_WRONLY)) [[maybe_unused]]
    auto ignored = write_all(score->get(), "-1000");
  if (arguments.prepare) TRY(prepare(arguments));
  return arguments.vsock_port ? connect_channel(*arguments.vsock_port) : open_channel(uevents.get());
}

}  // namespace diatom::agent
