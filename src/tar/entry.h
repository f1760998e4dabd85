// One entry of a tar, as a value: what the reader gives, the writer takes, and a file system has.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace diatom::tar {

enum class Kind { regular, hard_link, symlink, char_device, block_device, directory, fifo };

// A part of a sparse file that is there; what lies between the parts is zero.
struct Extent {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  bool operator==(const Extent&) const = default;
};

using Xattrs = std::vector<std::pair<std::string, std::string>>;

struct Entry {
  Kind kind = Kind::regular;
  std::string name = {};    // bytes; without slashes at its end
  std::string target = {};  // of a link
  uint32_t mode = 0644;     // permission bits, 07777
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t size = 0;  // of a regular file, with its holes
  int64_t mtime_s = 0;
  uint32_t mtime_ns = 0;
  uint32_t major = 0;  // of a device
  uint32_t minor = 0;
  Xattrs xattrs = {};
  std::optional<std::vector<Extent>> extents = {};  // of a sparse file: in order, within its size
  bool operator==(const Entry&) const = default;
};

// The names that a path runs through; "." and double slashes are nothing. None when it has "..", a NUL, or a name that
// no file system takes.
std::optional<std::vector<std::string>> split_path(const std::string& path);

}  // namespace diatom::tar
