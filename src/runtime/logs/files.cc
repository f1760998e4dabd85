#include "runtime/logs/files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>

#include "runtime/logs/record.h"

namespace diatom {

namespace {

// What the file says at its head.
std::optional<uint64_t> written_generation(int fd) {
  std::array<char, 256> head{};
  ssize_t got = ::pread(fd, head.data(), head.size(), 0);
  std::string_view text(head.data(), got > 0 ? static_cast<size_t>(got) : 0);
  size_t end = text.find('\n');
  if (end == std::string_view::npos) return {};
  auto record = decode_log_record(text.substr(0, end));
  return record ? record->generation : std::nullopt;
}

}  // namespace

fs::path numbered_log(const fs::path& path, unsigned number) {
  return number == 0 ? path : fs::path(path.string() + "." + std::to_string(number));
}

Result<std::vector<LogFile>> open_log_files(const fs::path& path) {
  struct Found {
    UniqueFd fd;
    std::optional<uint64_t> generation;
  };
  std::vector<Found> found;
  // A writer that is renaming leaves one gap at a time.
  for (unsigned number = 0, missing = 0; missing < 2; ++number) {
    auto fd = open_file(numbered_log(path, number), O_RDONLY | O_NONBLOCK);
    if (!fd && fd.error().code != Errc::not_found) return std::unexpected(fd.error());
    missing = fd ? 0 : missing + 1;
    if (fd) {
      auto generation = written_generation(fd->get());
      found.push_back({std::move(*fd), generation});
    }
  }
  // The first file has no head; another's may have gone in a power cut: it comes after the one before it.
  std::vector<LogFile> files(found.size());
  uint64_t next = 0;
  for (size_t i = found.size(); i-- > 0; next = files[i].generation + 1)
    files[i] = {std::move(found[i].fd), found[i].generation.value_or(next)};
  return files;
}

bool is_log_file(const fs::path& path, int fd) {
  struct stat named{};
  struct stat held{};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(fd, &held) == 0 && named.st_dev == held.st_dev &&
         named.st_ino == held.st_ino;
}

}  // namespace diatom
