#include "vm/disks.h"

#include <unistd.h>

#include "base/file.h"

namespace diatom::vm {

bool is_new(const Disk& disk) {
  return !disk.read_only && disk.format && ::access(disk.extents.front().path.c_str(), F_OK) != 0;
}

Result<> format_disk(const Disk& disk, const fs::path& to) { return disk.format(to); }

Result<> make_new_disks(const MachineSpec& spec, const MakeDisk& make) {
  for (const Disk& disk : spec.disks) {
    if (!is_new(disk)) continue;
    const fs::path& wanted = disk.extents.front().path;
    fs::path path = wanted.string() + ".new";
    TRY(remove_tree(path));  // of one that was killed
    TemporaryPath undo(path);
    TRY(make(disk, path));
    if (::rename(path.c_str(), wanted.c_str()) < 0) return fail_errno("rename to " + wanted.string());
    undo.keep();
  }
  return {};
}

}  // namespace diatom::vm
