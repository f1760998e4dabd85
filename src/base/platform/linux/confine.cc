// Landlock (linux/landlock.h; Documentation/userspace-api/landlock.rst): what a thread and all that it starts may still
// open. The system's header may be older than the kernel: the numbers of later versions are here.
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/platform/platform.h"

namespace diatom::platform {

namespace {

constexpr uint64_t truncate_access = 1ULL << 14;   // version 3
constexpr uint64_t ioctl_dev_access = 1ULL << 15;  // version 5
constexpr uint64_t bind_tcp_access = 1ULL << 0;    // of the network, version 4
constexpr int net_port_rule = 2;
constexpr long network_version = 4;

struct RulesetAttributes {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
};
struct NetPortAttributes {
  uint64_t allowed_access;
  uint64_t port;
};

// 0: the kernel has none.
long landlock_version() {
  long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version < 0 ? 0 : version;
}

uint64_t file_accesses(long version) {
  uint64_t accesses = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;  // all of version 1
  if (version >= 2) accesses |= LANDLOCK_ACCESS_FS_REFER;
  if (version >= 3) accesses |= truncate_access;
  if (version >= 5) accesses |= ioctl_dev_access;
  return accesses;
}

Result<UniqueFd> create_ruleset(const RulesetAttributes& attributes, long version) {
  size_t size = version >= network_version ? sizeof attributes : sizeof attributes.handled_access_fs;
  UniqueFd fd(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0)));
  if (!fd) return fail_errno("landlock_create_ruleset");
  return fd;
}

// What is not there cannot be opened either.
Result<> allow(const UniqueFd& ruleset, const std::filesystem::path& path, uint64_t for_files, uint64_t for_folders) {
  UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd && errno == ENOENT) return {};
  struct stat status{};
  if (!fd || ::fstat(fd.get(), &status) < 0) return fail_errno("open " + path.string());
  landlock_path_beneath_attr rule{};
  rule.allowed_access = S_ISDIR(status.st_mode) ? for_files | for_folders : for_files;
  rule.parent_fd = fd.get();
  if (::syscall(SYS_landlock_add_rule, ruleset.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
    return fail_errno("landlock_add_rule " + path.string());
  return {};
}

Result<> enforce(const UniqueFd& ruleset) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return fail_errno("no_new_privs");
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) < 0) return fail_errno("landlock_restrict_self");
  return {};
}

}  // namespace

Result<bool> confine_files(const FileAccess& access) {
  long version = landlock_version();
  if (version == 0) return false;
  uint64_t handled = file_accesses(version);
  UniqueFd ruleset = TRY(create_ruleset({handled, 0}, version));
  uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE;
  uint64_t writing = reading | LANDLOCK_ACCESS_FS_WRITE_FILE | (handled & (truncate_access | ioctl_dev_access));
  for (const auto& path : access.read) TRY(allow(ruleset, path, reading, LANDLOCK_ACCESS_FS_READ_DIR));
  for (const auto& path : access.write) TRY(allow(ruleset, path, writing, LANDLOCK_ACCESS_FS_READ_DIR));
  TRY(enforce(ruleset));
  return true;
}

Result<> confine_listening(std::span<const uint16_t> ports) {
  long version = landlock_version();
  if (version < network_version)
    return fail(Errc::unsupported, "keep a VM from listening at this host's other ports: the kernel cannot",
                "it takes Linux 6.7 or newer, with Landlock");
  UniqueFd ruleset = TRY(create_ruleset({0, bind_tcp_access}, version));
  for (uint16_t port : ports) {
    NetPortAttributes rule{bind_tcp_access, port};
    if (::syscall(SYS_landlock_add_rule, ruleset.get(), net_port_rule, &rule, 0) < 0)
      return fail_errno("landlock_add_rule for port " + std::to_string(port));
  }
  return enforce(ruleset);
}

}  // namespace diatom::platform
