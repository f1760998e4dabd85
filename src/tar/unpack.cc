#include "tar/unpack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/file.h"
#include "base/platform/platform.h"

namespace diatom::tar {

namespace {

constexpr uint32_t privilege_bits = S_ISUID | S_ISGID;
// Beside a file that is being replaced, until it is.
constexpr std::string_view part_name = ".diatom-part";

std::array<timespec, 2> times_of(const Entry& entry) {
  timespec time{entry.mtime_s, static_cast<long>(entry.mtime_ns)};
  return {time, time};
}

std::unexpected<Error> refuse(const std::string& name, const std::string& why) {
  return fail(Errc::invalid_argument, "unpack " + name + ": " + why);
}

// Where something is in the way, what it is; 0: nothing.
mode_t kind_at(int parent, const std::string& base) {
  struct stat status{};
  return ::fstatat(parent, base.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : status.st_mode & S_IFMT;
}

bool needs_privileges(const std::string& attribute) { return !attribute.starts_with("user."); }

}  // namespace

Unpacker::~Unpacker() {
  while (!levels_.empty()) [[maybe_unused]]
    auto ignored = leave();
}

void Unpacker::warn(const std::string& what) const {
  if (options_.on_warning) options_.on_warning(what);
}

Result<> Unpacker::finish() {
  while (!levels_.empty()) TRY(leave());
  return {};
}

// ---- Where we are.

Result<> Unpacker::leave() {
  Level level = std::move(levels_.back());
  levels_.pop_back();
  return level.entry ? dress(*level.entry, level.fd.get()) : Result<>();
}

Result<UniqueFd> Unpacker::open_level(int parent, const std::string& name, const std::string& shown) const {
  int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (options_.follow_links ? 0 : O_NOFOLLOW);
  for (int attempt = 0; attempt < 2; ++attempt) {
    UniqueFd fd(::openat(parent, name.c_str(), flags));
    if (fd) return fd;
    if (errno == ENOTDIR || errno == ELOOP) return refuse(shown, "\"" + name + "\" in its path is no directory");
    if (errno != ENOENT) return fail_errno("unpack " + shown);
    if (::mkdirat(parent, name.c_str(), 0755) < 0 && errno != EEXIST) return fail_errno("unpack " + shown);
  }
  return refuse(shown, "\"" + name + "\" in its path leads nowhere");
}

// The directory of the first `count` names; made where it is missing.
Result<int> Unpacker::enter(const std::vector<std::string>& names, size_t count) {
  size_t same = 0;
  while (same < levels_.size() && same < count && levels_[same].name == names[same]) ++same;
  while (levels_.size() > same) TRY(leave());
  for (; same < count; ++same) {
    int parent = levels_.empty() ? destination_.get() : levels_.back().fd.get();
    UniqueFd fd = TRY(open_level(parent, names[same], names[count - 1]));
    levels_.push_back({names[same], std::move(fd), {}});
  }
  return levels_.empty() ? destination_.get() : levels_.back().fd.get();
}

// ---- What is made there.

Result<> Unpacker::add(Reader& reader, const Entry& entry) {
  auto names = split_path(entry.name);
  if (!names) return refuse(entry.name, "a name like this leads out of its directory, or can be no file's");
  if (names->empty()) {
    if (entry.kind != Kind::directory) return refuse(entry.name, "only a directory can be where everything goes");
    return {};  // that of the destination, which is there
  }
  int parent = TRY(enter(*names, names->size() - 1));
  return make(reader, entry, parent, names->back());
}

Result<> Unpacker::make(Reader& reader, const Entry& entry, int parent, const std::string& base) {
  switch (entry.kind) {
    case Kind::directory:
      return make_directory(entry, parent, base);
    case Kind::regular:
      return make_file(reader, entry, parent, base);
    case Kind::hard_link:
      return make_hard_link(entry, parent, base);
    case Kind::char_device:
    case Kind::block_device:
      if (!options_.make_devices) {
        warn(entry.name + ": a device is passed over");
        return {};
      }
      return make_special(entry, parent, base);
    case Kind::symlink:
    case Kind::fifo:
      return make_special(entry, parent, base);
  }
  return {};
}

// It may not be written by us later on, so it becomes what it is to be when we leave it.
Result<> Unpacker::make_directory(const Entry& entry, int parent, const std::string& base) {
  bool made = ::mkdirat(parent, base.c_str(), 0700) == 0;
  if (!made) {
    if (errno != EEXIST) return fail_errno("unpack " + entry.name);
    if (kind_at(parent, base) != S_IFDIR) return refuse(entry.name, "a directory cannot replace what is no directory");
  }
  UniqueFd fd(::openat(parent, base.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail_errno("unpack " + entry.name);
  levels_.push_back({base, std::move(fd), {}});
  if (made || options_.change_directories) levels_.back().entry = entry;
  return {};
}

Result<> Unpacker::make_file(Reader& reader, const Entry& entry, int parent, const std::string& base) {
  constexpr int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  std::string name = base;
  UniqueFd fd(::openat(parent, name.c_str(), flags, 0600));
  bool replaces = !fd && errno == EEXIST;
  if (replaces) {
    if (kind_at(parent, base) == S_IFDIR) return refuse(entry.name, "a file cannot replace a directory");
    name = part_name;
    ::unlinkat(parent, name.c_str(), 0);  // of one that was killed
    fd.reset(::openat(parent, name.c_str(), flags, 0600));
  }
  if (!fd) return fail_errno("unpack " + entry.name);
  auto written = write_file(reader, entry, fd.get());
  if (written && replaces && ::renameat(parent, name.c_str(), parent, base.c_str()) < 0) {
    written = fail_errno("unpack " + entry.name);
  }
  if (!written) ::unlinkat(parent, name.c_str(), 0);
  return written;
}

Result<> Unpacker::write_file(Reader& reader, const Entry& entry, int fd) const {
  uint64_t end = 0;
  for (;;) {
    Reader::Piece piece = TRY(reader.read());
    if (piece.data.empty()) break;
    auto put = pwrite_all(fd, piece.data, piece.offset);
    if (!put) return fail(put.error().code, "unpack " + entry.name + ": " + put.error().message, put.error().hint);
    end = piece.offset + piece.data.size();
  }
  if (end < entry.size && ::ftruncate(fd, static_cast<off_t>(entry.size)) < 0)
    return fail_errno("unpack " + entry.name);
  return dress(entry, fd);
}

// A file or a directory of ours: its owner, mode, attributes and time. In this order: a change of the owner takes
// privileges away.
Result<> Unpacker::dress(const Entry& entry, int fd) const {
  if (options_.set_owner) {
    auto [uid, gid] = options_.owner.value_or(std::pair{entry.uid, entry.gid});
    if (::fchown(fd, uid, gid) < 0) return fail_errno("unpack " + entry.name + ": set its owner");
  }
  auto mode = static_cast<mode_t>(options_.keep_privileges ? entry.mode : entry.mode & ~privilege_bits);
  if (::fchmod(fd, mode) < 0) return fail_errno("unpack " + entry.name + ": set its mode");
  for (const auto& [name, value] : entry.xattrs) {
    if (name.starts_with("trusted.overlay.") || (needs_privileges(name) && !options_.keep_privileges)) continue;
    if (platform::write_xattr(fd, name, value) < 0 && errno != ENOTSUP && errno != EPERM)
      return fail_errno("unpack " + entry.name + ": set its attribute " + name);
  }
  if (::futimens(fd, times_of(entry).data()) < 0) return fail_errno("unpack " + entry.name + ": set its time");
  return {};
}

Result<> Unpacker::make_special(const Entry& entry, int parent, const std::string& base) {
  auto try_make = [&](const char* name) {
    if (entry.kind == Kind::symlink) return ::symlinkat(entry.target.c_str(), parent, name);
    if (entry.kind == Kind::fifo) return ::mkfifoat(parent, name, entry.mode & 0777);
    mode_t kind = entry.kind == Kind::char_device ? S_IFCHR : S_IFBLK;
    return ::mknodat(parent, name, kind | (entry.mode & 07777), platform::make_device({entry.major, entry.minor}));
  };
  std::string name = base;
  int made = try_make(name.c_str());
  bool replaces = made < 0 && errno == EEXIST;
  if (replaces) {
    if (kind_at(parent, base) == S_IFDIR) return refuse(entry.name, "it cannot replace a directory");
    name = part_name;
    ::unlinkat(parent, name.c_str(), 0);
    made = try_make(name.c_str());
  }
  if (made < 0) return fail_errno("unpack " + entry.name);
  auto owned = set_owner_of(entry, parent, name);
  if (owned && replaces && ::renameat(parent, name.c_str(), parent, base.c_str()) < 0)
    owned = fail_errno("unpack " + entry.name);
  if (!owned) ::unlinkat(parent, name.c_str(), 0);
  return owned;
}

Result<> Unpacker::set_owner_of(const Entry& entry, int parent, const std::string& base) const {
  if (options_.set_owner) {
    auto [uid, gid] = options_.owner.value_or(std::pair{entry.uid, entry.gid});
    if (::fchownat(parent, base.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
      return fail_errno("unpack " + entry.name + ": set its owner");
  }
  if (::utimensat(parent, base.c_str(), times_of(entry).data(), AT_SYMLINK_NOFOLLOW) < 0)
    return fail_errno("unpack " + entry.name + ": set its time");
  return {};
}

// The parent of an earlier entry; the levels stay where they are.
Result<> Unpacker::make_hard_link(const Entry& entry, int parent, const std::string& base) {
  auto names = split_path(entry.target);
  if (!names || names->empty()) return refuse(entry.name, "it is a link to something outside");
  UniqueFd opened;
  int from = destination_.get();
  for (size_t i = 0; i + 1 < names->size(); ++i) {
    UniqueFd next(::openat(from, (*names)[i].c_str(),
                           O_RDONLY | O_DIRECTORY | O_CLOEXEC | (options_.follow_links ? 0 : O_NOFOLLOW)));
    if (!next && (errno == ENOTDIR || errno == ELOOP)) return refuse(entry.name, "it is a link to something outside");
    if (!next) return fail_errno("unpack " + entry.name + ": link to " + entry.target);
    opened = std::move(next);
    from = opened.get();
  }
  const char* target = names->back().c_str();
  if (::linkat(from, target, parent, base.c_str(), 0) == 0) return {};
  if (errno != EEXIST) return fail_errno("unpack " + entry.name + ": link to " + entry.target);
  if (kind_at(parent, base) == S_IFDIR) return refuse(entry.name, "it cannot replace a directory");
  std::string part(part_name);
  ::unlinkat(parent, part.c_str(), 0);
  if (::linkat(from, target, parent, part.c_str(), 0) < 0 || ::renameat(parent, part.c_str(), parent, base.c_str()) < 0)
    return fail_errno("unpack " + entry.name + ": link to " + entry.target);
  ::unlinkat(parent, part.c_str(), 0);  // rename(2) leaves both where they are one file already
  return {};
}

}  // namespace diatom::tar
