#include "tar/copy.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "base/platform/platform.h"

namespace diatom::tar {

namespace {

constexpr int most_links = 40;  // the kernel's own limit

struct Parts {
  std::string directory;
  std::string base;
};
// Of a path without slashes at its end.
Parts split(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

bool means_contents(const std::string& path) {
  return path.empty() || path == "." || path.ends_with("/.") || path.find_first_not_of('/') == std::string::npos;
}

std::string without_end(std::string path) {
  if (path.ends_with("/.")) path.pop_back();
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path.empty() ? "." : path;
}

Result<UniqueFd> open_directory(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), platform::search_flag() | O_DIRECTORY | O_CLOEXEC));
  if (!fd && errno == ENOTDIR) return fail(Errc::invalid_argument, "open " + path + ": it is no directory");
  if (!fd) return fail_errno("open " + path);
  return fd;
}

// What is to be packed: `base` in an open directory.
struct Source {
  UniqueFd directory;
  std::string base;
  std::string name;  // in the tar
};

Result<Source> find_source(const std::string& path, bool follow) {
  std::string name = top_name(path);
  std::string at = without_end(path);
  if (means_contents(path)) return Source{TRY(open_directory(at)), ".", name};
  bool is_directory = path.ends_with('/');
  if (follow || is_directory) {
    std::unique_ptr<char, decltype(&::free)> real(::realpath(at.c_str(), nullptr), &::free);
    if (!real) return fail_errno("open " + path);
    at = real.get();
    if (is_directory || at == "/") return Source{TRY(open_directory(at)), ".", name};
  }
  Parts parts = split(at);
  return Source{TRY(open_directory(parts.directory)), parts.base, name};
}

// Where it goes: the entry called `top` becomes `name` in an open directory; empty: that directory itself.
struct Destination {
  UniqueFd directory;
  std::string name;
};

// A link at its end leads on, also to what is not there yet.
Result<std::string> follow_links(std::string path) {
  for (int i = 0; i < most_links; ++i) {
    std::string target(PATH_MAX, '\0');
    ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
    if (size < 0) return path;
    target.resize(static_cast<size_t>(size));
    path = target.starts_with('/') ? target : split(path).directory + "/" + target;
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  }
  return fail(Errc::invalid_argument, "open " + path + ": too many links");
}

Result<Destination> find_destination(const std::string& path, const std::string& top, bool from_directory) {
  bool is_directory = path.ends_with('/') || means_contents(path);
  std::string at = TRY(follow_links(without_end(path)));
  struct stat status{};
  bool exists = ::stat(at.c_str(), &status) == 0;
  if (!exists && errno != ENOENT) return fail_errno("open " + path);
  if (exists && S_ISDIR(status.st_mode)) return Destination{TRY(open_directory(at)), top == "." ? "" : top};
  if (exists && is_directory) return fail(Errc::invalid_argument, "copy to " + path + ": it is no directory");
  if (exists && from_directory)
    return fail(Errc::invalid_argument, "copy to " + path + ": a directory cannot take the place of a file");
  if (exists && !S_ISREG(status.st_mode))
    return fail(Errc::invalid_argument, "copy to " + path + ": it is neither a directory nor a regular file");
  Parts parts = split(at);
  auto parent = open_directory(parts.directory);
  if (!parent) return fail(parent.error().code, "copy to " + path + ": " + parent.error().message);
  if (!exists && is_directory && !from_directory)
    return fail(Errc::not_found, "copy to " + path + ": there is no such directory");
  return Destination{std::move(*parent), parts.base};
}

// Nothing but what was asked for: whoever made the tar may say anything.
Result<> rename_top(std::string& name, const std::string& top, const std::string& to) {
  bool is_top = name == top;
  if (!is_top && !name.starts_with(top + "/"))
    return fail(Errc::invalid_argument, "unpack " + name + ": it is no part of what was asked for");
  std::string rest = is_top ? "" : name.substr(top.size() + 1);
  name = to.empty() ? rest : rest.empty() ? to : to + "/" + rest;
  if (name.empty()) name = ".";
  return {};
}

}  // namespace

std::string top_name(const std::string& path) { return means_contents(path) ? "." : split(without_end(path)).base; }

Result<> pack_path(Writer& writer, const std::string& path, bool follow, const PackOptions& options) {
  Source source = TRY(find_source(path, follow));
  TRY(Packer(writer, options).add_tree(source.directory.get(), source.base, source.name));
  return writer.finish();
}

Result<Entry> describe_path(const std::string& path, bool follow) {
  Source source = TRY(find_source(path, follow));
  struct stat status{};
  if (::fstatat(source.directory.get(), source.base.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0)
    return fail_errno("stat " + path);
  Entry entry = entry_of(source.name, status);
  if (entry.kind == Kind::symlink) entry.target = TRY(read_target(source.directory.get(), source.base));
  if (entry.kind == Kind::regular) entry.size = static_cast<uint64_t>(status.st_size);
  return entry;
}

Result<> unpack_copy(Reader& reader, const std::string& destination, const std::string& top,
                     const UnpackOptions& options) {
  auto entry = TRY(reader.next());
  if (!entry || entry->name != top)
    return fail(Errc::invalid_argument, "copy to " + destination + ": what comes is not what was asked for");
  Destination to = TRY(find_destination(destination, top, entry->kind == Kind::directory));
  Unpacker unpacker(std::move(to.directory), options);
  for (; entry; entry = TRY(reader.next())) {
    TRY(rename_top(entry->name, top, to.name));
    if (entry->kind == Kind::hard_link) TRY(rename_top(entry->target, top, to.name));
    TRY(unpacker.add(reader, *entry));
  }
  TRY(unpacker.finish());
  return reader.drain();
}

Result<> unpack_stream(Reader& reader, const std::string& destination, const UnpackOptions& options) {
  auto directory = open_directory(destination);
  if (!directory)
    return fail(directory.error().code, "copy to " + destination + ": " + directory.error().message,
                "a tar goes into a directory that is there");
  Unpacker unpacker(std::move(*directory), options);
  for (auto entry = TRY(reader.next()); entry; entry = TRY(reader.next())) TRY(unpacker.add(reader, *entry));
  TRY(unpacker.finish());
  return reader.drain();
}

}  // namespace diatom::tar
