// Files: whole reads and writes, atomic replacement, locks. All descriptors are close-on-exec. All functions block
// on the disk only, restart after EINTR, and may be called from any thread.
#pragma once

#include <limits.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

namespace diatom {

namespace fs = std::filesystem;

Result<UniqueFd> open_file(const fs::path& path, int flags, mode_t mode = 0600);

// The whole file. Fails with invalid_argument when it holds more than `limit_bytes`.
Result<std::string> read_file(const fs::path& path, uint64_t limit_bytes = 64 << 20);
// What comes from a descriptor until its end; errors call it by that name.
Result<std::string> read_to_end(int fd, std::string_view name, uint64_t limit_bytes = 64 << 20);

// Reads until `out` is full or the file ends; returns the bytes read.
Result<size_t> read_full(int fd, std::span<std::byte> out);
// One read(2), restarted after EINTR; 0 = end of file.
Result<size_t> read_some(int fd, std::span<std::byte> out);
Result<> write_all(int fd, std::span<const std::byte> data);
// Whether a write to it never waits for a reader: a file or a disk. Anything else that poll() calls writable takes
// `unblocking_write` bytes without (POSIX: PIPE_BUF).
bool never_blocks(int fd);
inline constexpr size_t unblocking_write = PIPE_BUF;
Result<> write_all(int fd, std::string_view data);
Result<> pwrite_all(int fd, std::span<const std::byte> data, uint64_t offset);
// Fails with internal when the file ends before `out` is full.
Result<> pread_all(int fd, std::span<std::byte> out, uint64_t offset);

// fdatasync where the platform has it.
Result<> sync_fd(int fd);
Result<> sync_directory(const fs::path& directory);
Result<uint64_t> file_size(int fd);

// The content, then its directory, reach the disk. A reader sees the old content or the new, never a part of it,
// also after a power cut.
Result<> replace_file(const fs::path& path, std::string_view content);

Result<> make_directories(const fs::path& path);  // mode 0700 for what it makes
Result<> remove_tree(const fs::path& path);       // a missing path is a success; links are not followed
Result<std::vector<std::string>> list_directory(const fs::path& path);  // its names, in no order

// What a file or a folder with all that is in it takes on the disk; what cannot be looked at takes nothing.
uint64_t disk_bytes(const fs::path& path);

// An advisory lock (flock) on a file, made when missing; it goes with its holder, however that ends. The holder may
// rename or remove the file: whoever waited locks a new one of that name.
class FileLock {
 public:
  enum class Mode { shared, exclusive };
  // Blocks until the lock is there.
  static Result<FileLock> acquire(const fs::path& path, Mode mode = Mode::exclusive);
  // The same, but it ends with the first error of `go_on`, which is asked a few dozen times a second.
  static Result<FileLock> acquire(const fs::path& path, const std::function<Result<>()>& go_on);
  // Empty when somebody else holds it.
  static Result<std::optional<FileLock>> try_acquire(const fs::path& path, Mode mode = Mode::exclusive);
  int fd() const { return fd_.get(); }

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

// A file or directory that is removed with its owner unless keep() is called: what a failure leaves half-done goes.
class TemporaryPath {
 public:
  explicit TemporaryPath(fs::path path) : path_(std::move(path)) {}
  TemporaryPath(const TemporaryPath&) = delete;
  TemporaryPath& operator=(const TemporaryPath&) = delete;
  TemporaryPath(TemporaryPath&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryPath& operator=(TemporaryPath&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~TemporaryPath();
  const fs::path& path() const { return path_; }
  void keep() { path_.clear(); }

 private:
  fs::path path_;
};

}  // namespace diatom
