#include "disks.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/file.h"
#include "disk_files.h"

namespace diatom::agent {

namespace {

constexpr std::string_view driver = "/sys/bus/virtio/drivers/virtio_blk/";
constexpr std::string_view own_serial = "agent";  // of the disk that the agent itself has come from

struct Described {
  DiskNames names;
  bool are_files = false;
};

Described& described() {
  static Described disks;
  return disks;
}

// "virtio3": what the driver calls them.
std::vector<std::string>& left_disks() {
  static std::vector<std::string> devices;
  return devices;
}

Result<> tell_driver(std::string_view what, const std::string& device) {
  UniqueFd file = TRY(open_file(fs::path(driver) / what, O_WRONLY));
  return write_all(file.get(), device);
}

}  // namespace

void describe_disks(const Arguments& arguments) { described() = {arguments.disks, arguments.disks_are_files}; }

Result<> leave_disks() {
  std::vector<std::string> names = TRY(list_directory("/sys/block"));
  std::ranges::sort(names);  // so that they get the same names again
  for (const std::string& name : names) {
    std::error_code error;
    fs::path device = fs::canonical("/sys/block/" + name + "/device", error);
    auto serial = read_file("/sys/block/" + name + "/serial", 256);
    if (error || !serial || *serial == own_serial) continue;
    TRY(tell_driver("unbind", device.filename()));
    left_disks().push_back(device.filename());
  }
  return {};
}

Result<> take_disks() {
  for (const std::string& device : std::exchange(left_disks(), {})) TRY(tell_driver("bind", device));
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
