#include "disks.h"

#include "base/file.h"
#include "disk_files.h"

namespace diatom::agent {

namespace {

struct Described {
  DiskNames names;
  bool are_files = false;
};

Described& described() {
  static Described disks;
  return disks;
}

}  // namespace

void describe_disks(const Arguments& arguments) { described() = {arguments.disks, arguments.disks_are_files}; }

Result<std::string> find_disk(std::string_view serial, bool writable) {
  if (described().are_files) return attach_disk_files(std::string(serial), writable);
  if (auto named = described().names.find(serial); named != described().names.end()) return "/dev/" + named->second;
  for (const std::string& name : TRY(list_directory("/sys/block"))) {
    auto found = read_file("/sys/block/" + name + "/serial", 256);
    if (found && *found == serial) return "/dev/" + name;
  }
  return fail(Errc::not_found, "find disk \"" + std::string(serial) + "\": the VM has none");
}

}  // namespace diatom::agent
