#include "disks.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <vector>

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

Result<> drop_cache(const std::string& device) {
  UniqueFd disk = TRY(open_file(device, O_RDONLY));
  if (::ioctl(disk.get(), BLKFLSBUF, 0) < 0) return fail_errno("drop what was read of " + device);
  return {};
}

}  // namespace

void describe_disks(const Arguments& arguments) { described() = {arguments.disks, arguments.disks_are_files}; }

Result<> find_disks() {
  for (const std::string& name : TRY(list_directory("/sys/block"))) {
    auto serial = read_file("/sys/block/" + name + "/serial", 256);
    if (!serial || serial->empty()) continue;
    TRY(drop_cache("/dev/" + name));
    described().names.emplace(*serial, name);
  }
  return {};
}

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
