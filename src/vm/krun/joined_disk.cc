#include "vm/krun/joined_disk.h"

#include <fcntl.h>

#include <algorithm>

#include "base/file.h"

namespace diatom::vm {

namespace {

constexpr size_t block_bytes = 1 << 20;

Result<> append(int to, uint64_t& at, const DiskExtent& extent) {
  UniqueFd from = TRY(open_file(extent.path, O_RDONLY));
  std::vector<std::byte> block(block_bytes);
  for (uint64_t done = 0; done < extent.bytes;) {
    auto part = std::span(block).first(std::min<uint64_t>(block.size(), extent.bytes - done));
    TRY(pread_all(from.get(), part, done));
    TRY(pwrite_all(to, part, at));
    done += part.size();
    at += part.size();
  }
  return {};
}

}  // namespace

fs::path joined_path(const MachineSpec& spec, const Disk& disk) { return spec.directory / (disk.serial + ".raw"); }

Result<MachineSpec> join_disks(MachineSpec spec) {
  for (Disk& disk : spec.disks) {
    if (disk.extents.size() <= most_krun_extents) continue;
    fs::path path = joined_path(spec, disk);
    TemporaryPath undo(path);
    UniqueFd fd = TRY(open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    uint64_t bytes = 0;
    for (const DiskExtent& extent : disk.extents) TRY(append(fd.get(), bytes, extent));
    disk.extents = {{path, bytes}};
    undo.keep();
  }
  return spec;
}

}  // namespace diatom::vm
