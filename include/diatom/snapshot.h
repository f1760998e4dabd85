// Snapshots: containers saved while they ran, with memory and disk, that others go on from.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace diatom {

struct SnapshotInfo {
  std::string name;
  std::string container;       // that it was made of: its id, which may have gone since
  std::string container_name;  // as it was then
  std::string image;           // id, without "sha256:"
  std::string image_name;
  int64_t created_ns = 0;  // since 1970 UTC
  unsigned vcpus = 0;
  uint64_t memory_bytes = 0;  // that its VM had
  uint64_t disk_bytes = 0;    // that it takes
};

struct ForkOptions {
  unsigned count = 1;
  std::string name = {};  // of the only copy, or the beginning of all names: "NAME-1", …; empty: names are made up
  std::function<void(const std::string& id)> on_started = {};  // one after the other
};

}  // namespace diatom
