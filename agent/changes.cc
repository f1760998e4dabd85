#include "changes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <optional>
#include <string_view>

#include "base/file.h"
#include "tar/pack.h"

namespace diatom::agent {

namespace {

constexpr std::string_view whiteout_prefix = ".wh.";
constexpr std::string_view opaque_marker = ".wh..wh..opq";

// The agent makes these where an image has none, to mount something on: enter_container_root().
constexpr std::array made_directories = {"/dev", "/etc", "/proc", "/run", "/sys"};
constexpr std::array made_files = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"};

bool is_ours(const std::string& path, const struct stat& status, bool is_empty) {
  if (S_ISDIR(status.st_mode)) return is_empty && std::ranges::find(made_directories, path) != made_directories.end();
  return S_ISREG(status.st_mode) && status.st_size == 0 && std::ranges::find(made_files, path) != made_files.end();
}

struct Change {
  char kind;         // 'A', 'C', 'D'
  std::string path;  // "/etc/passwd"
  int directory;     // that it lies in, and what it is called there
  std::string name;
  struct stat status;
  bool opaque = false;  // a directory that hides all that the image has in it
};

using Handler = std::function<Result<>(const Change&)>;

bool is_whiteout(const struct stat& status) { return S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0); }

std::string attribute(int fd, const char* name) {
  char value[256];
  ssize_t size = ::fgetxattr(fd, name, value, sizeof value);
  return size < 0 ? "" : std::string(value, static_cast<size_t>(size));
}

bool is_same(const struct stat& one, const struct stat& other) {
  return one.st_mode == other.st_mode && one.st_uid == other.st_uid && one.st_gid == other.st_gid &&
         one.st_mtim.tv_sec == other.st_mtim.tv_sec && one.st_mtim.tv_nsec == other.st_mtim.tv_nsec;
}

// A directory of the image that lies below one of the writable layer's: none where that hides it.
struct Below {
  UniqueFd fd{};

  std::optional<struct stat> find(const std::string& name) const {
    struct stat status{};
    if (!fd || ::fstatat(fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return std::nullopt;
    return status;
  }
  Below enter(const std::string& name) const {
    return {.fd =
                UniqueFd(fd ? ::openat(fd.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1)};
  }
};

class Walk {
 public:
  explicit Walk(Handler handler) : handler_(std::move(handler)) {}

  Result<> run() {
    UniqueFd upper = TRY(open_file("/upper/root", O_RDONLY | O_DIRECTORY));
    Below below{TRY(open_file("/image", O_RDONLY | O_DIRECTORY))};
    return visit(upper.get(), below, "");
  }

 private:
  Result<> visit(int directory, const Below& below, const std::string& path) {
    for (const std::string& name : TRY(tar::read_names(directory))) {
      struct stat status{};
      if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT) continue;  // it has gone
        return fail_errno("stat " + path + "/" + name);
      }
      auto before = below.find(name);
      Change change{.kind = before ? 'C' : 'A',
                    .path = path + "/" + name,
                    .directory = directory,
                    .name = name,
                    .status = status};
      if (is_whiteout(status)) {
        change.kind = 'D';
        if (before) TRY(tell(change));  // of what only the writable layer had: nothing is left of it
      } else if (S_ISDIR(status.st_mode)) {
        TRY(visit_directory(change, below, before));
      } else if (before || !is_ours(change.path, status, true)) {
        TRY(tell(change));
      }
    }
    return {};
  }

  // Told before what is in it, and only if it has changed itself, or something in it has.
  Result<> visit_directory(Change& change, const Below& below, const std::optional<struct stat>& before) {
    UniqueFd fd(::openat(change.directory, change.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd && (errno == ENOENT || errno == ENOTDIR)) return {};
    if (!fd) return fail_errno("open " + change.path);
    // Nothing of the kind comes about with the options that we mount with; another kernel may have written it.
    if (!attribute(fd.get(), "trusted.overlay.redirect").empty())
      return fail(Errc::unsupported, "read changes: " + change.path + " is a directory that overlayfs has renamed");
    bool merged = before && S_ISDIR(before->st_mode);
    change.opaque = merged && attribute(fd.get(), "trusted.overlay.opaque") == "y";
    bool told = change.opaque || !merged || !is_same(*before, change.status);
    if (!before && is_ours(change.path, change.status, TRY(tar::read_names(fd.get())).empty())) return {};
    pending_.push_back(&change);
    if (told) TRY(tell_pending());
    Below inside = merged && !change.opaque ? below.enter(change.name) : Below();
    auto visited = visit(fd.get(), inside, change.path);
    if (!pending_.empty() && pending_.back() == &change) pending_.pop_back();
    return visited;
  }

  Result<> tell(const Change& change) {
    TRY(tell_pending());
    return handler_(change);
  }
  Result<> tell_pending() {
    for (const Change* directory : std::exchange(pending_, {})) TRY(handler_(*directory));
    return {};
  }

  Handler handler_;
  std::deque<const Change*> pending_;  // directories on the way down that may turn out not to be told of
};

}  // namespace

Result<> list_changes(int out) {
  std::string text;
  constexpr size_t enough = 64 << 10;
  TRY(Walk([&](const Change& change) -> Result<> {
        text += change.kind;
        text += change.path;
        text += '\0';
        if (text.size() < enough) return {};
        return write_all(out, std::exchange(text, {}));
      }).run());
  return write_all(out, text);
}

Result<> pack_changes(int out, std::function<void(const std::string&)> warn) {
  tar::Writer writer(out);
  tar::Packer packer(writer, {.enters = {}, .on_warning = std::move(warn)});
  auto mark = [&](const std::string& name) {
    return writer.add({.kind = tar::Kind::regular, .name = name, .mode = 0});
  };
  TRY(Walk([&](const Change& change) -> Result<> {
        std::string name = change.path.substr(1);
        size_t begin = name.rfind('/') + 1;  // 0 where there is none
        if (change.name.starts_with(whiteout_prefix))
          return fail(Errc::unsupported,
                      "read changes: " + change.path + ": a layer cannot hold a name that begins with .wh.",
                      "rename it first");
        if (change.kind == 'D') return mark(name.insert(begin, whiteout_prefix));
        auto added = packer.add(change.directory, change.name, name, change.status);
        if (!added && added.error().code == Errc::not_found) return {};  // it has gone meanwhile
        if (!added) return added;
        return change.opaque ? mark(name + "/" + std::string(opaque_marker)) : Result<>();
      }).run());
  return writer.finish();
}

}  // namespace diatom::agent
