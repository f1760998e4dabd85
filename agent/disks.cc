#include "disks.h"

#include "base/file.h"

namespace diatom::agent {

namespace {

DiskNames& named_disks() {
  static DiskNames names;
  return names;
}

}  // namespace

void name_disks(DiskNames names) { named_disks() = std::move(names); }

Result<std::string> find_disk(std::string_view serial) {
  if (auto named = named_disks().find(serial); named != named_disks().end()) return "/dev/" + named->second;
  for (const std::string& name : TRY(list_directory("/sys/block"))) {
    auto found = read_file("/sys/block/" + name + "/serial", 256);
    if (found && *found == serial) return "/dev/" + name;
  }
  return fail(Errc::not_found, "find disk \"" + std::string(serial) + "\": the VM has none");
}

}  // namespace diatom::agent
