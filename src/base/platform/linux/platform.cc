#include "base/platform/platform.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/file.h"

namespace diatom::platform {

int sync_data(int fd) { return ::fdatasync(fd); }
int sync_names(int fd) { return ::fsync(fd); }

void start_writeback(int fd, uint64_t offset, uint64_t bytes) {
  ::sync_file_range(fd, static_cast<off64_t>(offset), static_cast<off64_t>(bytes), SYNC_FILE_RANGE_WRITE);
}

void reserve_room(int fd, uint64_t bytes) {
  struct stat status{};
  if (::fstat(fd, &status) < 0 || static_cast<uint64_t>(status.st_blocks) * 512 >= bytes) return;
  ::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes));
}

void lower_thread_priority() {
  constexpr int steps = 4;  // each is some 1.25 times the CPU time (sched(7))
  auto thread = static_cast<id_t>(::gettid());
  ::setpriority(PRIO_PROCESS, thread, ::getpriority(PRIO_PROCESS, thread) + steps);
}

namespace {

// Copies [offset, offset + length) inside the kernel; falls back to read/write across file systems.
Result<> copy_range(int from, int to, off_t offset, off_t length) {
  off_t in = offset;
  off_t out = offset;
  std::string buffer;
  while (length > 0) {
    ssize_t done = ::copy_file_range(from, &in, to, &out, static_cast<size_t>(length), 0);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
      buffer.resize(1 << 20);
      done = ::pread(from, buffer.data(), std::min<size_t>(buffer.size(), static_cast<size_t>(length)), in);
      if (done > 0) {
        TRY(pwrite_all(to, std::as_bytes(std::span(buffer.data(), static_cast<size_t>(done))),
                       static_cast<uint64_t>(out)));
        in += done;
        out += done;
      }
    }
    if (done < 0) return fail_errno("copy");
    if (done == 0) return fail(Errc::internal, "copy: the source became shorter");
    length -= done;
  }
  return {};
}

Result<> copy_data_extents(int from, int to, off_t size) {
  if (::ftruncate(to, size) < 0) return fail_errno("set size");
  for (off_t offset = 0; offset < size;) {
    off_t data = ::lseek(from, offset, SEEK_DATA);
    if (data < 0) {
      if (errno == ENXIO) return {};  // only a hole is left
      return fail_errno("seek data");
    }
    off_t hole = ::lseek(from, data, SEEK_HOLE);
    if (hole < 0) return fail_errno("seek hole");
    TRY(copy_range(from, to, data, hole - data));
    offset = hole;
  }
  return {};
}

}  // namespace

Result<> clone_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  UniqueFd source = TRY(open_file(from, O_RDONLY));
  UniqueFd target = TRY(open_file(to, O_WRONLY | O_CREAT | O_EXCL));
  TemporaryPath undo(to);
  if (::ioctl(target.get(), FICLONE, source.get()) < 0) {
    uint64_t size = TRY(file_size(source.get()));
    TRY(copy_data_extents(source.get(), target.get(), static_cast<off_t>(size)));
  }
  undo.keep();
  return {};
}

// dladdr(3) has the name that the loader was given, which may be relative to where this process was then.
Result<std::filesystem::path> code_path() {
  auto here = reinterpret_cast<uintptr_t>(&code_path);
  std::string maps = TRY(read_file("/proc/self/maps"));
  for (std::string_view rest = maps; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    // "55d0…000-55d0…000 r-xp 00002000 fe:00 1234    /usr/lib/libdiatom.so.0"
    uintptr_t begin = 0, end = 0;
    auto first = std::from_chars(line.data(), line.data() + line.size(), begin, 16);
    if (first.ec != std::errc{} || first.ptr == line.data() + line.size()) continue;
    auto last = std::from_chars(first.ptr + 1, line.data() + line.size(), end, 16);
    size_t path = line.find('/');
    if (last.ec == std::errc{} && begin <= here && here < end && path != std::string_view::npos)
      return std::filesystem::path(line.substr(path));
  }
  return fail(Errc::internal, "read /proc/self/maps: it does not name the file of this code");
}

std::string library_file(const std::string& name, int version) {
  return "lib" + name + ".so." + std::to_string(version);
}

std::vector<std::filesystem::path> library_directories() {
  std::vector<std::filesystem::path> directories;
  const char* chosen = std::getenv("LD_LIBRARY_PATH");
  std::string list = chosen != nullptr ? chosen : "";
  for (size_t begin = 0; begin < list.size();) {
    size_t end = std::min(list.find(':', begin), list.size());
    if (end > begin) directories.emplace_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  std::string multiarch = host_info().machine + "-linux-gnu";
  for (const char* prefix : {"/usr/local", "/usr"})
    for (const std::string& folder : {std::string("lib64"), "lib/" + multiarch, std::string("lib")})
      directories.push_back(std::filesystem::path(prefix) / folder);
  return directories;
}

char** environment() { return ::environ; }

Result<UniqueFd> open_exit_event(pid_t pid) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return fail_errno("pidfd_open " + std::to_string(pid));
  return fd;
}

int send_signal(const UniqueFd& exit_event, pid_t, int signal) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, exit_event.get(), signal, nullptr, 0));
}

// The file's devices in fdinfo are not those of stat(2) on every file system: so the descriptor itself is looked at.
bool holds_lock(pid_t pid, const std::filesystem::path& path) {
  struct stat wanted{};
  if (::stat(path.c_str(), &wanted) < 0) return false;
  std::filesystem::path process = "/proc/" + std::to_string(pid);
  for (const std::string& number : list_directory(process / "fd").value_or(std::vector<std::string>())) {
    struct stat open{};
    if (::stat((process / "fd" / number).c_str(), &open) < 0) continue;
    if (open.st_dev != wanted.st_dev || open.st_ino != wanted.st_ino) continue;
    // An fdinfo(5) line "lock:" for each lock that was taken through the descriptor.
    if (read_file(process / "fdinfo" / number, 64 << 10).value_or("").find("FLOCK") != std::string::npos) return true;
  }
  return false;
}

bool die_with_parent(pid_t parent) { return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == parent; }

Result<SocketPair> make_socket_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) return fail_errno("socketpair");
  return SocketPair{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Result<UniqueFd> make_socket() { return make_socket(AF_UNIX, SOCK_STREAM); }

Result<UniqueFd> make_socket(int family, int type) {
  UniqueFd fd(::socket(family, type | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("socket");
  return fd;
}

UniqueFd accept_connection(const UniqueFd& listener) {
  return UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

ssize_t send_quietly(int fd, const void* data, size_t size, int flags) {
  return ::send(fd, data, size, flags | MSG_NOSIGNAL);
}

Result<Pipe> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) < 0) return fail_errno("pipe");
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

void widen_pipe(int fd, size_t bytes) {
  if (::fcntl(fd, F_GETPIPE_SZ) < static_cast<int>(bytes)) ::fcntl(fd, F_SETPIPE_SZ, static_cast<int>(bytes));
}

ssize_t splice(int from_pipe, int to, size_t bytes) {
  return ::splice(from_pipe, nullptr, to, nullptr, bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

timespec modified_at(const struct stat& status) { return status.st_mtim; }
timespec changed_at(const struct stat& status) { return status.st_ctim; }
DeviceNumber device_number(dev_t device) { return {gnu_dev_major(device), gnu_dev_minor(device)}; }
dev_t make_device(DeviceNumber number) { return gnu_dev_makedev(number.major, number.minor); }

int search_flag() { return O_PATH; }

std::vector<std::pair<std::string, std::string>> read_xattrs(int fd) {
  std::vector<std::pair<std::string, std::string>> found;
  ssize_t size = ::flistxattr(fd, nullptr, 0);
  if (size <= 0) return found;
  std::string names(static_cast<size_t>(size), '\0');
  size = ::flistxattr(fd, names.data(), names.size());
  if (size <= 0) return found;  // it changed just now
  names.resize(static_cast<size_t>(size));
  std::string value(XATTR_SIZE_MAX, '\0');
  for (size_t begin = 0; begin < names.size();) {
    std::string name = names.c_str() + begin;
    begin += name.size() + 1;
    ssize_t length = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
    if (length >= 0) found.emplace_back(std::move(name), value.substr(0, static_cast<size_t>(length)));
  }
  return found;
}

int write_xattr(int fd, const std::string& name, std::string_view value) {
  return ::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0);
}

namespace {

// "Pss:      1234 kB"
uint64_t kib_field(const std::string& text, std::string_view name) {
  size_t at = text.find(name);
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + name.size(), nullptr, 10) << 10;
}

}  // namespace

ProcessUsage process_usage(pid_t pid) {
  std::string folder = "/proc/" + std::to_string(pid);
  std::string memory = read_file(folder + "/smaps_rollup", 64 << 10).value_or("");
  ProcessUsage usage{.rss_bytes = kib_field(memory, "Rss:"), .pss_bytes = kib_field(memory, "Pss:"), .cpu_us = 0};
  // Behind the name, which may have any characters: state is field 3, utime and stime are 14 and 15.
  std::string stat = read_file(folder + "/stat", 4096).value_or("");
  size_t at = stat.rfind(')');
  uint64_t ticks[2] = {0, 0};
  for (int field = 3; at != std::string::npos && field <= 15; ++field) {
    at = stat.find(' ', at + 1);
    if (field >= 14 && at != std::string::npos) ticks[field - 14] = std::strtoull(stat.c_str() + at, nullptr, 10);
  }
  usage.cpu_us = (ticks[0] + ticks[1]) * 1'000'000 / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  return usage;
}

HostInfo host_info() {
  HostInfo info;
  info.os = "linux";
  utsname names{};
  ::uname(&names);
  info.kernel = names.release;
  info.machine = names.machine;
  info.arch = info.machine == "x86_64" ? "amd64" : info.machine == "aarch64" ? "arm64" : info.machine;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) info.cpus = static_cast<unsigned>(CPU_COUNT(&set));
  struct sysinfo memory{};
  if (::sysinfo(&memory) == 0) info.memory_bytes = static_cast<uint64_t>(memory.totalram) * memory.mem_unit;
  return info;
}

std::string host_start_id() { return read_file("/proc/sys/kernel/random/boot_id", 256).value_or(""); }

Virtualisation probe_virtualisation() {
  Virtualisation kvm{.usable = false, .name = "kvm", .reason = {}};
  // A device node that opens proves nothing: on x86 a nested host may create VMs that run no ordinary guest.
  if (host_info().arch == "amd64") {
    std::string cpuinfo = read_file("/proc/cpuinfo", 256 << 20).value_or("");
    size_t flags = cpuinfo.find("\nflags");
    std::string line =
        flags == std::string::npos ? "" : cpuinfo.substr(flags + 1, cpuinfo.find('\n', flags + 1) - flags);
    if ((line + " ").find(" svm ") == std::string::npos && (line + " ").find(" vmx ") == std::string::npos) {
      kvm.reason = "this CPU offers no virtualisation (no svm or vmx flag in /proc/cpuinfo)";
      return kvm;
    }
  }
  UniqueFd device(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!device) {
    kvm.reason = std::string("open /dev/kvm: ") + std::strerror(errno) +
                 (errno == EACCES ? "; add yourself to the group kvm" : "; load the module kvm_intel or kvm_amd");
    return kvm;
  }
  UniqueFd machine(::ioctl(device.get(), KVM_CREATE_VM, 0));
  if (!machine) {
    kvm.reason = std::string("KVM_CREATE_VM: ") + std::strerror(errno);
    return kvm;
  }
  kvm.usable = true;
  return kvm;
}

}  // namespace diatom::platform
