#include "disks.h"

#include "base/file.h"

namespace diatom::agent {

namespace {

std::map<std::string, std::string, std::less<>>& named_disks() {
  static std::map<std::string, std::string, std::less<>> devices;
  return devices;
}

}  // namespace

void name_disks(std::map<std::string, std::string> devices) {
  for (auto& [serial, device] : devices) named_disks()[serial] = std::move(device);
}

Result<std::string> find_disk(std::string_view serial) {
  if (auto named = named_disks().find(serial); named != named_disks().end()) return "/dev/" + named->second;
  for (const std::string& name : TRY(list_directory("/sys/block"))) {
    auto found = read_file("/sys/block/" + name + "/serial", 256);
    if (found && *found == serial) return "/dev/" + name;
  }
  return fail(Errc::not_found, "find disk \"" + std::string(serial) + "\": the VM has none");
}

}  // namespace diatom::agent
