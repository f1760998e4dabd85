#include "base/file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/platform/platform.h"

namespace diatom {

namespace {

// Calls a system call again for as long as a signal interrupts it.
template <class Call>
auto retry(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

// Whoever held a lock before may have renamed or removed its file: then what we hold is nobody's.
bool is_still(const fs::path& path, int fd) {
  struct stat named{};
  struct stat held{};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(fd, &held) == 0 && named.st_dev == held.st_dev &&
         named.st_ino == held.st_ino;
}

}  // namespace

Result<UniqueFd> open_file(const fs::path& path, int flags, mode_t mode) {
  UniqueFd fd(retry([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); }));
  if (!fd) return fail_errno("open " + path.string());
  return fd;
}

Result<size_t> read_some(int fd, std::span<std::byte> out) {
  ssize_t got = retry([&] { return ::read(fd, out.data(), out.size()); });
  if (got < 0) return fail_errno("read");
  return static_cast<size_t>(got);
}

Result<size_t> read_full(int fd, std::span<std::byte> out) {
  size_t done = 0;
  while (done < out.size()) {
    size_t got = TRY(read_some(fd, out.subspan(done)));
    if (got == 0) break;
    done += got;
  }
  return done;
}

Result<std::string> read_file(const fs::path& path, uint64_t limit_bytes) {
  UniqueFd fd = TRY(open_file(path, O_RDONLY));
  return read_to_end(fd.get(), path.native(), limit_bytes);
}

Result<std::string> read_to_end(int fd, std::string_view name, uint64_t limit_bytes) {
  std::string content;
  char buffer[65536];
  for (;;) {
    ssize_t got = retry([&] { return ::read(fd, buffer, sizeof buffer); });
    if (got < 0) return fail_errno("read " + std::string(name));
    if (got == 0) return content;
    if (content.size() + static_cast<size_t>(got) > limit_bytes)
      return fail(Errc::invalid_argument,
                  "read " + std::string(name) + ": larger than " + std::to_string(limit_bytes) + " bytes");
    content.append(buffer, static_cast<size_t>(got));
  }
}

bool never_blocks(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode));
}

Result<> write_all(int fd, std::span<const std::byte> data) {
  while (!data.empty()) {
    ssize_t put = retry([&] { return ::write(fd, data.data(), data.size()); });
    if (put < 0) return fail_errno("write");
    data = data.subspan(static_cast<size_t>(put));
  }
  return {};
}

Result<> write_all(int fd, std::string_view data) { return write_all(fd, std::as_bytes(std::span(data))); }

Result<> pwrite_all(int fd, std::span<const std::byte> data, uint64_t offset) {
  while (!data.empty()) {
    ssize_t put = retry([&] { return ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset)); });
    if (put < 0) return fail_errno("write");
    data = data.subspan(static_cast<size_t>(put));
    offset += static_cast<uint64_t>(put);
  }
  return {};
}

Result<> pread_all(int fd, std::span<std::byte> out, uint64_t offset) {
  while (!out.empty()) {
    ssize_t got = retry([&] { return ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset)); });
    if (got < 0) return fail_errno("read");
    if (got == 0) return fail(Errc::internal, "read: file is shorter than it should be");
    out = out.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return {};
}

Result<> sync_fd(int fd) {
  if (retry([&] { return platform::sync_data(fd); }) < 0) return fail_errno("sync");
  return {};
}

Result<> sync_directory(const fs::path& directory) {
  UniqueFd fd = TRY(open_file(directory, O_RDONLY | O_DIRECTORY));
  if (retry([&] { return platform::sync_names(fd.get()); }) < 0) return fail_errno("sync " + directory.string());
  return {};
}

Result<uint64_t> file_size(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) < 0) return fail_errno("stat");
  return static_cast<uint64_t>(status.st_size);
}

Result<> replace_file(const fs::path& path, std::string_view content) {
  fs::path name = path.string() + ".tmp";
  // Writers take turns; what one left that was killed is the next one's to write over.
  FileLock lock = TRY(FileLock::acquire(name));
  TemporaryPath tmp(name);
  if (::ftruncate(lock.fd(), 0) < 0) return fail_errno("truncate " + name.string());
  TRY(write_all(lock.fd(), content));
  TRY(sync_fd(lock.fd()));
  if (::rename(name.c_str(), path.c_str()) < 0) return fail_errno("rename to " + path.string());
  tmp.keep();
  return sync_directory(path.has_parent_path() ? path.parent_path() : ".");
}

Result<> make_directories(const fs::path& path) {
  if (path.empty()) return {};
  // Again when somebody removed it between the two looks.
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (::mkdir(path.c_str(), 0700) == 0) return {};
    if (errno == ENOENT) {
      TRY(make_directories(path.parent_path()));
      continue;
    }
    if (errno != EEXIST) return fail_errno("create directory " + path.string());
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0) {
      if (S_ISDIR(status.st_mode)) return {};
      break;
    }
    if (errno != ENOENT || ::lstat(path.c_str(), &status) == 0) break;  // a link that leads nowhere
  }
  return fail(Errc::already_exists, "create directory " + path.string() + ": something else has that name");
}

Result<> remove_tree(const fs::path& path) {
  constexpr int most_attempts = 1000;
  std::error_code error;
  // What goes under our hands is what was wanted: somebody else is at it, too. So may be what comes: a lock that was
  // opened by a name from before.
  int attempts = 0;
  do {
    fs::remove_all(path, error);
  } while ((error == std::errc::no_such_file_or_directory || error == std::errc::directory_not_empty) &&
           ++attempts < most_attempts);
  if (error) return fail_errno("remove " + path.string(), error.value());
  return {};
}

// Not a range-for: its increment throws.
Result<std::vector<std::string>> list_directory(const fs::path& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error))
    names.push_back(entry->path().filename().string());
  if (error) return fail_errno("read directory " + path.string(), error.value());
  return names;
}

Result<FileLock> FileLock::acquire(const fs::path& path, Mode mode) {
  for (;;) {
    UniqueFd fd = TRY(open_file(path, O_RDWR | O_CREAT));
    if (retry([&] { return ::flock(fd.get(), mode == Mode::shared ? LOCK_SH : LOCK_EX); }) < 0)
      return fail_errno("lock " + path.string());
    if (is_still(path, fd.get())) return FileLock(std::move(fd));
  }
}

// A lock that becomes free is no event that could be awaited beside others: so it is tried again and again.
Result<FileLock> FileLock::acquire(const fs::path& path, const std::function<Result<>()>& go_on) {
  for (;;) {
    if (auto lock = TRY(try_acquire(path, Mode::exclusive))) return std::move(*lock);
    TRY(go_on());
    ::poll(nullptr, 0, 30);
  }
}

Result<std::optional<FileLock>> FileLock::try_acquire(const fs::path& path, Mode mode) {
  for (;;) {
    UniqueFd fd = TRY(open_file(path, O_RDWR | O_CREAT));
    if (retry([&] { return ::flock(fd.get(), LOCK_NB | (mode == Mode::shared ? LOCK_SH : LOCK_EX)); }) < 0) {
      if (errno == EWOULDBLOCK) return std::optional<FileLock>();
      return fail_errno("lock " + path.string());
    }
    if (is_still(path, fd.get())) return std::optional<FileLock>(FileLock(std::move(fd)));
  }
}

TemporaryPath::~TemporaryPath() {
  if (path_.empty()) return;
  std::error_code ignored;  // nothing better can be done here; the next look at the store sweeps what is left
  fs::remove_all(path_, ignored);
}

uint64_t disk_bytes(const fs::path& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) < 0) return 0;
  uint64_t bytes = static_cast<uint64_t>(status.st_blocks) * 512;
  if (!S_ISDIR(status.st_mode)) return bytes;
  auto names = list_directory(path);
  if (!names) return bytes;
  for (const auto& name : *names) bytes += disk_bytes(path / name);
  return bytes;
}

}  // namespace diatom
