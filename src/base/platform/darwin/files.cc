// Files: what reaches the disk, copies that cost nothing, attributes.
#include <copyfile.h>
#include <fcntl.h>
#include <sys/clonefile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "base/platform/platform.h"

namespace diatom::platform {

// fsync(2) leaves it in the drive's own memory. Disks of the network know nothing else.
int sync_data(int fd) {
  if (::fcntl(fd, F_FULLFSYNC) == 0) return 0;
  return errno == ENOTSUP || errno == EINVAL || errno == ENOTTY ? ::fsync(fd) : -1;
}
int sync_names(int fd) { return sync_data(fd); }

// Nothing here begins without waiting for the end.
void start_writeback(int, uint64_t, uint64_t) {}

void lower_thread_priority() {}

void reserve_room(int fd, uint64_t bytes) {
  struct stat status{};
  if (::fstat(fd, &status) < 0) return;
  uint64_t has = static_cast<uint64_t>(status.st_blocks) * 512;
  if (has >= bytes) return;
  fstore_t room{};
  room.fst_flags = F_ALLOCATEALL;
  room.fst_posmode = F_PEOFPOSMODE;  // behind the last block that it has
  room.fst_length = static_cast<off_t>(bytes - has);
  ::fcntl(fd, F_PREALLOCATE, &room);
}

Result<> clone_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  UniqueFd source = TRY(open_file(from, O_RDONLY));
  struct stat status{};
  if (::fstat(source.get(), &status) < 0) return fail_errno("stat " + from.string());
  if (!S_ISREG(status.st_mode)) return fail(Errc::invalid_argument, "copy " + from.string() + ": it is no file");
  if (::fclonefileat(source.get(), AT_FDCWD, to.c_str(), CLONE_NOOWNERCOPY) == 0) return {};
  if (errno != ENOTSUP && errno != EXDEV) return fail_errno("clone to " + to.string());
  UniqueFd target = TRY(open_file(to, O_WRONLY | O_CREAT | O_EXCL));
  TemporaryPath undo(to);
  if (::fcopyfile(source.get(), target.get(), nullptr, COPYFILE_DATA | COPYFILE_DATA_SPARSE) < 0)
    return fail_errno("copy to " + to.string());
  undo.keep();
  return {};
}

timespec modified_at(const struct stat& status) { return status.st_mtimespec; }
timespec changed_at(const struct stat& status) { return status.st_ctimespec; }

DeviceNumber device_number(dev_t device) {
  auto bits = static_cast<uint32_t>(device);
  return {static_cast<uint32_t>(major(bits)), static_cast<uint32_t>(minor(bits))};
}

dev_t make_device(DeviceNumber number) { return static_cast<dev_t>(makedev(number.major, number.minor)); }

int search_flag() { return O_SEARCH; }

std::vector<std::pair<std::string, std::string>> read_xattrs(int fd) {
  std::vector<std::pair<std::string, std::string>> found;
  ssize_t size = ::flistxattr(fd, nullptr, 0, 0);
  if (size <= 0) return found;
  std::string names(static_cast<size_t>(size), '\0');
  size = ::flistxattr(fd, names.data(), names.size(), 0);
  if (size <= 0) return found;  // it changed just now
  names.resize(static_cast<size_t>(size));
  for (size_t begin = 0; begin < names.size();) {
    std::string name = names.c_str() + begin;
    begin += name.size() + 1;
    if (name.starts_with("com.apple.")) continue;
    ssize_t length = ::fgetxattr(fd, name.c_str(), nullptr, 0, 0, 0);
    std::string value(static_cast<size_t>(length > 0 ? length : 0), '\0');
    if (length > 0) length = ::fgetxattr(fd, name.c_str(), value.data(), value.size(), 0, 0);
    if (length < 0) continue;
    value.resize(static_cast<size_t>(length));
    found.emplace_back(std::move(name), std::move(value));
  }
  return found;
}

int write_xattr(int fd, const std::string& name, std::string_view value) {
  return ::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0, 0);
}

}  // namespace diatom::platform
