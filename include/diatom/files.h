// What goes in and out of a container's file system: copies, archives, changes. Plain values; the calls are Runtime's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace diatom {

struct CopyOptions {
  // Owners and privileges (set-user-id bits) are those of the source. Else what is copied into a container belongs to
  // its root, and what is copied out of it to whoever asks, without privileges.
  bool archive = false;
  bool follow_link = false;  // of a link that is the source itself, what it leads to
};

struct CopyResult {
  uint64_t bytes = 0;                 // of the tar that went over
  std::vector<std::string> warnings;  // of what was passed over (sockets, on the host devices)
};

// What is at a path of a container.
struct PathStat {
  std::string name;  // the last one of the path
  std::string kind;  // "file", "directory", "symlink", "character device", "block device", "fifo"
  uint64_t size_bytes = 0;
  uint32_t mode = 0;  // permission bits, 07777
  uint32_t uid = 0, gid = 0;
  int64_t modified_ns = 0;  // since 1970 UTC
  std::string link_target;
};

struct FileChange {
  enum class Kind { added, changed, deleted };
  Kind kind = Kind::changed;
  std::string path;  // bytes; from the root
};

struct CommitOptions {
  std::string reference;             // the name that the image gets; none when empty
  std::string author;                // "Jane Doe <jane@example.com>"
  std::string message;               // the history's comment
  std::vector<std::string> changes;  // as ImportOptions::changes
  bool pause = true;                 // its programs stand still while its files are read
};

struct CommittedImage {
  std::string id;  // "sha256:…"
  std::vector<std::string> warnings;
};

}  // namespace diatom
