#include "tar/pack.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/platform/platform.h"

namespace diatom::tar {

namespace {

// What was opened may have become a device or a fifo since it was looked at: opening it must not hang.
constexpr int open_flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

Kind kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return Kind::directory;
    case S_IFLNK:
      return Kind::symlink;
    case S_IFCHR:
      return Kind::char_device;
    case S_IFBLK:
      return Kind::block_device;
    case S_IFIFO:
      return Kind::fifo;
    default:
      return Kind::regular;
  }
}

// overlayfs's own are no part of what it shows; labels belong to this machine's policy.
Xattrs attributes_of(int fd) {
  Xattrs found = platform::read_xattrs(fd);
  std::erase_if(found, [](const auto& attribute) {
    return attribute.first.starts_with("trusted.overlay.") || attribute.first == "security.selinux";
  });
  std::ranges::sort(found);
  return found;
}

// Of a file with holes worth the name; none where it is whole.
std::optional<std::vector<Extent>> extents_of(int fd, const struct stat& status) {
  constexpr off_t worth = 64 << 10;
  constexpr size_t most = 100'000;
  if (status.st_blocks * 512 + worth > status.st_size) return std::nullopt;
  std::vector<Extent> extents;
  for (off_t at = 0; at < status.st_size;) {
    off_t data = ::lseek(fd, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // a hole is all that is left
    off_t hole = data < 0 ? -1 : std::min<off_t>(::lseek(fd, data, SEEK_HOLE), status.st_size);
    if (hole <= data || extents.size() == most) return std::nullopt;  // this file system knows none
    extents.push_back({static_cast<uint64_t>(data), static_cast<uint64_t>(hole - data)});
    at = hole;
  }
  return extents;
}

bool has_gone(int error) { return error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENXIO; }

}  // namespace

Entry entry_of(const std::string& name, const struct stat& status) {
  timespec modified = platform::modified_at(status);
  Entry entry{.kind = kind_of(status.st_mode),
              .name = name,
              .target = {},
              .mode = status.st_mode & 07777U,
              .uid = status.st_uid,
              .gid = status.st_gid,
              .size = 0,
              .mtime_s = modified.tv_sec,
              .mtime_ns = static_cast<uint32_t>(modified.tv_nsec),
              .major = 0,
              .minor = 0,
              .xattrs = {},
              .extents = {}};
  if (entry.kind == Kind::char_device || entry.kind == Kind::block_device) {
    auto [major, minor] = platform::device_number(status.st_rdev);
    entry.major = major;
    entry.minor = minor;
  }
  return entry;
}

Result<std::string> read_target(int directory, const std::string& link) {
  std::string target(PATH_MAX, '\0');
  ssize_t size = ::readlinkat(directory, link.c_str(), target.data(), target.size());
  if (size < 0) return fail_errno("read link " + link);
  target.resize(static_cast<size_t>(size));
  return target;
}

Result<std::vector<std::string>> read_names(int directory) {
  struct Close {
    void operator()(DIR* opened) const { ::closedir(opened); }
  };
  UniqueFd copy(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::unique_ptr<DIR, Close> opened(copy ? ::fdopendir(copy.get()) : nullptr);
  if (!opened) return fail_errno("read directory");
  static_cast<void>(copy.release());
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(opened.get());
    if (entry == nullptr && errno != 0) return fail_errno("read directory");
    if (entry == nullptr) break;
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  std::ranges::sort(names);
  return names;
}

void Packer::warn(const std::string& what) const {
  if (options_.on_warning) options_.on_warning(what);
}

Result<> Packer::add(int directory, const std::string& base, const std::string& name, const struct stat& status) {
  bool there = TRY(add_if_there(directory, base, name, status));
  return there || S_ISSOCK(status.st_mode) ? Result<>() : Result<>(fail_errno("open " + name, ENOENT));
}

// Whether it has been added.
Result<bool> Packer::add_if_there(int directory, const std::string& base, const std::string& name,
                                  const struct stat& status) {
  if (name.size() >= PATH_MAX)
    return fail(Errc::invalid_argument, "copy " + name.substr(0, 200) + "…: its path is longer than 4095 bytes");
  if (S_ISSOCK(status.st_mode)) {
    warn(name + ": a socket is passed over");
    return false;
  }
  Entry entry = entry_of(name, status);
  if (is_known_link(entry, status)) {
    TRY(writer_.add(entry));
    return true;
  }
  if (entry.kind == Kind::regular) return add_file(entry, directory, base, status);
  if (entry.kind == Kind::symlink) {
    auto target = read_target(directory, base);
    if (!target) return false;  // it is none any more
    entry.target = std::move(*target);
  }
  if (entry.kind == Kind::directory) {
    UniqueFd opened(::openat(directory, base.c_str(), open_flags | O_DIRECTORY));
    if (!opened) return has_gone(errno) ? Result<bool>(false) : fail_errno("open " + name);
    entry.xattrs = attributes_of(opened.get());
  }
  TRY(writer_.add(entry));
  return true;
}

bool Packer::is_known_link(Entry& entry, const struct stat& status) {
  if (status.st_nlink < 2 || entry.kind == Kind::directory) return false;
  auto [known, is_first] = linked_.try_emplace({status.st_dev, status.st_ino}, entry.name);
  if (is_first) return false;
  entry.kind = Kind::hard_link;
  entry.target = known->second;
  return true;
}

Result<bool> Packer::add_file(Entry& entry, int directory, const std::string& base, const struct stat& seen) {
  UniqueFd file(::openat(directory, base.c_str(), open_flags));
  if (!file) return has_gone(errno) ? Result<bool>(false) : fail_errno("open " + entry.name);
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) return fail_errno("stat " + entry.name);
  if (!S_ISREG(status.st_mode)) return false;  // another, meanwhile
  // It may be another's by now: what is opened counts.
  if (seen.st_ino != status.st_ino || seen.st_dev != status.st_dev) entry = entry_of(entry.name, status);
  entry.size = static_cast<uint64_t>(status.st_size);
  entry.xattrs = attributes_of(file.get());
  entry.extents = extents_of(file.get(), status);
  TRY(writer_.add(entry));
  uint64_t missing = 0;
  for (const Extent& extent : entry.extents ? *entry.extents : std::vector{Extent{0, entry.size}}) {
    auto copied = writer_.copy(file.get(), extent.offset, extent.bytes);
    if (!copied) return fail(copied.error().code, "copy " + entry.name + ": " + copied.error().message);
    missing += extent.bytes - *copied;
  }
  if (missing > 0) warn(entry.name + ": it became shorter while it was read; zeros take the place of the rest");
  return true;
}

Result<> Packer::add_tree(int directory, const std::string& base, const std::string& name) {
  struct stat status{};
  if (::fstatat(directory, base.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return fail_errno("open " + name);
  if (!S_ISDIR(status.st_mode)) return add(directory, base, name, status);
  TRY(add(directory, base, name, status));
  UniqueFd opened(::openat(directory, base.c_str(), open_flags | O_DIRECTORY));
  if (!opened) return fail_errno("open " + name);
  return add_children(std::move(opened), name, status.st_dev);
}

Result<> Packer::add_contents(int directory) {
  struct stat status{};
  UniqueFd opened(::openat(directory, ".", open_flags | O_DIRECTORY));
  if (!opened || ::fstat(opened.get(), &status) < 0) return fail_errno("open the root");
  return add_children(std::move(opened), "", status.st_dev);
}

Result<> Packer::add_children(UniqueFd directory, const std::string& name, dev_t device) {
  auto names = read_names(directory.get());
  if (!names) return fail(names.error().code, "copy " + name + ": " + names.error().message);
  for (const std::string& child : *names) {
    std::string path = name.empty() ? child : name + "/" + child;
    struct stat status{};
    if (::fstatat(directory.get(), child.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) {
      if (has_gone(errno)) continue;
      return fail_errno("stat " + path);
    }
    bool there = TRY(add_if_there(directory.get(), child, path, status));
    if (!there || !S_ISDIR(status.st_mode)) continue;
    UniqueFd opened(::openat(directory.get(), child.c_str(), open_flags | O_DIRECTORY));
    if (!opened && has_gone(errno)) continue;
    if (!opened) return fail_errno("open " + path);
    if (status.st_dev != device && options_.enters && !options_.enters(opened.get())) continue;
    TRY(add_children(std::move(opened), path, status.st_dev));
  }
  return {};
}

}  // namespace diatom::tar
