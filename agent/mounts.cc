#include "mounts.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "base/file.h"
#include "boot.h"
#include "cgroup.h"
#include "disks.h"
#include "network.h"

namespace diatom::agent {

namespace {

constexpr unsigned long closed = MS_NOSUID | MS_NODEV | MS_NOEXEC;

// What docker hides, and what it makes read-only (its default OCI spec).
constexpr std::array masked = {"/proc/asound",
                               "/proc/acpi",
                               "/proc/kcore",
                               "/proc/keys",
                               "/proc/latency_stats",
                               "/proc/timer_list",
                               "/proc/timer_stats",
                               "/proc/sched_debug",
                               "/proc/scsi",
                               "/sys/firmware",
                               "/sys/devices/virtual/powercap"};
constexpr std::array read_only_paths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

Result<> make_path(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    ::mkdir(path.substr(0, slash).c_str(), 0755);
  if (::mkdir(path.c_str(), 0755) < 0 && errno != EEXIST) return fail_errno("make directory " + path);
  return {};
}

Result<> write_file(const std::string& path, std::string_view content) {
  UniqueFd fd = TRY(open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  return write_all(fd.get(), content);
}

// The merged root takes its owner and its mode from the writable layer's.
Result<> make_upper_root(const char* path) {
  struct stat root{};
  if (::stat("/image", &root) < 0) return fail_errno("stat image");
  if (::mkdir(path, 0755) < 0) return errno == EEXIST ? Result<>() : Result<>(fail_errno("make writable layer"));
  // Mostly there is nothing to be changed, and each change is code of the file system's that runs for the first time.
  struct stat made{};
  if (::stat(path, &made) < 0) return fail_errno("make writable layer");
  if ((made.st_uid != root.st_uid || made.st_gid != root.st_gid) && ::chown(path, root.st_uid, root.st_gid) < 0)
    return fail_errno("make writable layer");
  if (made.st_mode != root.st_mode && ::chmod(path, root.st_mode & 07777) < 0) return fail_errno("make writable layer");
  timespec times[2] = {root.st_atim, root.st_mtim};
  ::utimensat(AT_FDCWD, path, times, 0);
  return {};
}

std::string hosts_file(const channel::ContainerConfig& config) {
  std::string text =
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "ff02::1\tip6-allnodes\n"
      "ff02::2\tip6-allrouters\n";
  text += (config.network ? config.network->address : "127.0.1.1") + "\t" + config.hostname + "\n";
  for (const auto& line : config.extra_hosts) text += line + "\n";
  return text;
}

constexpr std::array etc_files = {"hosts", "hostname", "resolv.conf"};

std::string own_path(const char* etc_file) { return std::string("/files/") + etc_file; }

// Once they are made.
std::array<UniqueFd, etc_files.size()>& open_etc_files() {
  static std::array<UniqueFd, etc_files.size()> files;
  return files;
}

Result<> make_etc_files() {
  for (size_t i = 0; i < etc_files.size(); ++i)
    open_etc_files()[i] = TRY(open_file(own_path(etc_files[i]), O_WRONLY | O_CREAT, 0644));
  return {};
}

Result<> write_etc_files(const channel::ContainerConfig& config) {
  std::string resolver;
  for (const auto& line : config.resolv_conf) resolver += line + "\n";
  std::array<std::string, etc_files.size()> contents = {hosts_file(config), config.hostname + "\n", resolver};
  if (!open_etc_files().front()) TRY(make_etc_files());
  for (size_t i = 0; i < etc_files.size(); ++i) TRY(write_all(open_etc_files()[i].get(), contents[i]));
  return {};
}

// A file of the agent's, to be mounted somewhere after the agent's root has gone from sight.
Result<UniqueFd> detach_file(const char* path) {
  UniqueFd fd(::open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!fd) return fail_errno(std::string("detach ") + path);
  return fd;
}

// Where an image has no file, but a directory, a fifo, a device, a link to nothing or in a circle, one takes its place
// in the writable layer. (docker refuses to start such an image.)
Result<> make_mount_point(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode)) return {};
  TRY(remove_tree(path));
  static_cast<void>(TRY(open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0644)));
  return {};
}

Result<> attach_file(const UniqueFd& file, const std::string& path) {
  TRY(make_mount_point(path));
  if (::move_mount(file.get(), "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) < 0)
    return fail_errno("mount " + path);
  return {};
}

Result<> make_device(const char* path, unsigned major, unsigned minor) {
  if (::mknod(path, S_IFCHR | 0666, makedev(major, minor)) < 0 || ::chmod(path, 0666) < 0)
    return fail_errno(std::string("make ") + path);
  return {};
}

Result<> mount_dev(const channel::ContainerConfig& config) {
  TRY(mount_at("tmpfs", "/dev", "tmpfs", MS_NOSUID, "mode=0755,size=65536k"));
  TRY(make_device("/dev/null", 1, 3));
  TRY(make_device("/dev/zero", 1, 5));
  TRY(make_device("/dev/full", 1, 7));
  TRY(make_device("/dev/random", 1, 8));
  TRY(make_device("/dev/urandom", 1, 9));
  TRY(make_device("/dev/tty", 5, 0));
  for (auto [link, target] : {std::pair{"/dev/fd", "/proc/self/fd"},
                              {"/dev/stdin", "/proc/self/fd/0"},
                              {"/dev/stdout", "/proc/self/fd/1"},
                              {"/dev/stderr", "/proc/self/fd/2"},
                              {"/dev/ptmx", "pts/ptmx"},
                              {"/dev/core", "/proc/kcore"}})
    if (::symlink(target, link) < 0) return fail_errno(std::string("make ") + link);
  for (const char* directory : {"/dev/pts", "/dev/shm", "/dev/mqueue"}) ::mkdir(directory, 0755);
  TRY(mount_at("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"));
  std::string size = "mode=1777,size=" + std::to_string(config.shm_bytes);
  TRY(mount_at("shm", "/dev/shm", "tmpfs", closed, size.c_str()));
  if (auto queue = mount_at("mqueue", "/dev/mqueue", "mqueue", closed, nullptr); !queue) log(queue.error().message);
  return {};
}

// The options of mount(8) that are flags of mount(2). A later one counts.
struct MountFlag {
  std::string_view name;
  unsigned long set = 0;
  unsigned long clear = 0;
};
constexpr MountFlag mount_flags[] = {{"defaults"},
                                     {"rw", 0, MS_RDONLY},
                                     {"ro", MS_RDONLY},
                                     {"exec", 0, MS_NOEXEC},
                                     {"noexec", MS_NOEXEC},
                                     {"suid", 0, MS_NOSUID},
                                     {"nosuid", MS_NOSUID},
                                     {"dev", 0, MS_NODEV},
                                     {"nodev", MS_NODEV},
                                     {"async", 0, MS_SYNCHRONOUS},
                                     {"sync", MS_SYNCHRONOUS},
                                     {"dirsync", MS_DIRSYNC},
                                     {"atime", 0, MS_NOATIME},
                                     {"noatime", MS_NOATIME},
                                     {"diratime", 0, MS_NODIRATIME},
                                     {"nodiratime", MS_NODIRATIME},
                                     {"relatime", MS_RELATIME},
                                     {"norelatime", 0, MS_RELATIME},
                                     {"strictatime", MS_STRICTATIME},
                                     {"nostrictatime", 0, MS_STRICTATIME},
                                     {"lazytime", MS_LAZYTIME},
                                     {"nolazytime", 0, MS_LAZYTIME},
                                     {"mand", MS_MANDLOCK},
                                     {"nomand", 0, MS_MANDLOCK},
                                     {"iversion", MS_I_VERSION},
                                     {"noiversion", 0, MS_I_VERSION},
                                     {"silent", MS_SILENT},
                                     {"loud", 0, MS_SILENT}};

// docker's options: mount flags by name, the rest is tmpfs's own.
Result<> mount_tmpfs(const channel::TmpfsConfig& wanted) {
  unsigned long flags = closed;
  std::string data;
  for (size_t begin = 0; begin < wanted.options.size();) {
    size_t end = std::min(wanted.options.find(',', begin), wanted.options.size());
    std::string option = wanted.options.substr(begin, end - begin);
    begin = end + 1;
    auto flag = std::ranges::find(mount_flags, option, &MountFlag::name);
    if (flag != std::end(mount_flags))
      flags = (flags & ~flag->clear) | flag->set;
    else
      data += (data.empty() ? "" : ",") + option;
  }
  TRY(make_path(wanted.path));
  return mount_at("tmpfs", wanted.path, "tmpfs", flags, data.c_str());
}

void hide(const char* path) {
  struct stat status{};
  if (::stat(path, &status) < 0) return;  // this kernel has none
  int result = S_ISDIR(status.st_mode) ? ::mount("tmpfs", path, "tmpfs", MS_RDONLY | closed, "size=0")
                                       : ::mount("/dev/null", path, nullptr, MS_BIND, nullptr);
  if (result < 0) log(std::string("hide ") + path + ": " + std::strerror(errno));
}

void make_read_only(const char* path) {
  if (::mount(path, path, nullptr, MS_BIND | MS_REC, nullptr) < 0) return;
  if (::mount(nullptr, path, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | closed, nullptr) < 0)
    log(std::string("make read-only ") + path + ": " + std::strerror(errno));
}

// The container's root becomes "/", and nothing of the agent's can be reached from it any more.
Result<> pivot() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return fail_errno("make mounts private");
  if (::chdir("/container") < 0) return fail_errno("enter container root");
  // Old and new root end up stacked on one another; the upper of them, the old one, is taken away.
  if (::syscall(SYS_pivot_root, ".", ".") < 0) return fail_errno("pivot_root");
  if (::umount2(".", MNT_DETACH) < 0) return fail_errno("drop old root");
  if (::chdir("/") < 0) return fail_errno("enter root");
  return {};
}

bool& root_is_mounted() {
  static bool mounted = false;
  return mounted;
}

Result<> mount_root(const channel::ContainerConfig& config) {
  if (root_is_mounted()) return {};
  std::string image = TRY(find_disk("root", false));
  TRY(mount_at(image.c_str(), "/image", "erofs", MS_RDONLY, nullptr));
  if (config.has_upper) {
    std::string upper = TRY(find_disk("upper", true));
    // Nothing fills in the inode tables behind our back: the disk is sparse and may stay so.
    TRY(mount_at(upper.c_str(), "/upper", "ext4", MS_NOATIME, "noinit_itable"));
  } else {
    TRY(mount_at("tmpfs", "/upper", "tmpfs", 0, "size=1m"));
  }
  TRY(make_upper_root("/upper/root"));
  if (::mkdir("/upper/work", 0700) < 0 && errno != EEXIST) return fail_errno("make /upper/work");
  // What the writable layer holds can be read without overlayfs (changes.cc): whole files, each in its place.
  TRY(mount_at("overlay", "/container", "overlay", 0,
               "lowerdir=/image,upperdir=/upper/root,workdir=/upper/work,redirect_dir=off,metacopy=off,index=off"));
  root_is_mounted() = true;
  return {};
}

}  // namespace

Result<> mount_at(const char* source, const std::string& target, const char* type, unsigned long flags,
                  const char* data) {
  if (::mount(source, target.c_str(), type, flags, data) < 0)
    return fail_errno("mount " + std::string(type) + " at " + target +
                      (data != nullptr && *data != '\0' ? " (" + std::string(data) + ")" : ""));
  return {};
}

Result<> prepare_container_root(const channel::ContainerConfig& config) {
  TRY(mount_root(config));
  return make_etc_files();
}

Result<> mount_container_root(const channel::ContainerConfig& config) {
  TRY(mount_root(config));
  make_cgroup(config);
  return write_etc_files(config);
}

Result<> rename_in_etc_files(const std::string& from, const std::string& to) {
  if (TRY(read_file("/files/hostname")) == from + "\n") TRY(write_file("/files/hostname", to + "\n"));
  std::string hosts = TRY(read_file("/files/hosts"));
  size_t found = hosts.find("\t" + from + "\n");
  if (found == std::string::npos) return {};
  return write_file("/files/hosts", hosts.replace(found + 1, from.size(), to));
}

Result<UniqueFd> make_boot_id_file(std::string_view content) {
  constexpr const char* path = "/files/boot_id";
  bool there = ::access(path, F_OK) == 0;
  TRY(write_file(path, content));
  if (there) return UniqueFd();
  return detach_file(path);
}

Result<> unmount_container_root() {
  ::sync();
  for (const char* path : {"/container", "/upper"})
    if (::umount2(path, 0) < 0 && errno != EINVAL) return fail_errno(std::string("unmount ") + path);
  return {};
}

void abandon_container_root() {
  ::sync();
  // What is on the disk is whole from here on: nothing is written any more.
  UniqueFd upper(::open("/upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (upper) ::ioctl(upper.get(), FIFREEZE, 0);
}

namespace {

// What we put into a directory is no change of the container's: its time stays what it was. Nothing is written where
// nothing has changed.
class KeptTime {
 public:
  explicit KeptTime(const char* path) : path_(path), known_(::lstat(path, &before_) == 0) {}
  KeptTime(const KeptTime&) = delete;
  KeptTime& operator=(const KeptTime&) = delete;
  KeptTime(KeptTime&&) = delete;
  KeptTime& operator=(KeptTime&&) = delete;
  ~KeptTime() {
    struct stat now{};
    if (!known_ || ::lstat(path_, &now) < 0 ||
        (now.st_mtim.tv_sec == before_.st_mtim.tv_sec && now.st_mtim.tv_nsec == before_.st_mtim.tv_nsec))
      return;
    timespec times[2] = {before_.st_atim, before_.st_mtim};
    ::utimensat(AT_FDCWD, path_, times, AT_SYMLINK_NOFOLLOW);
  }

 private:
  const char* path_;
  struct stat before_{};
  bool known_;
};

}  // namespace

Result<> enter_container_root(const channel::ContainerConfig& config) {
  std::array<UniqueFd, etc_files.size()> files;
  for (size_t i = 0; i < files.size(); ++i) files[i] = TRY(detach_file(own_path(etc_files[i]).c_str()));
  TRY(pivot());
  KeptTime root_time("/");
  KeptTime etc_time("/etc");
  for (const char* directory : {"/proc", "/sys", "/dev", "/etc", "/run"}) TRY(make_path(directory));
  TRY(mount_at("proc", "/proc", "proc", closed, nullptr));
  TRY(mount_dev(config));
  unsigned long access = config.privileged ? 0 : MS_RDONLY;
  TRY(mount_at("sysfs", "/sys", "sysfs", closed | access, nullptr));
  if (auto group = mount_at("cgroup", "/sys/fs/cgroup", "cgroup2", closed | access, nullptr); !group)
    log(group.error().message);
  // Before the files: one of them over /etc must not hide them.
  for (const auto& tmpfs : config.tmpfs) TRY(mount_tmpfs(tmpfs));
  for (size_t i = 0; i < files.size(); ++i) TRY(attach_file(files[i], "/etc/" + std::string(etc_files[i])));
  if (config.privileged) return {};
  for (const char* path : masked) hide(path);
  for (const char* path : read_only_paths) make_read_only(path);
  return {};
}

}  // namespace diatom::agent
