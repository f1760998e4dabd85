#include "disks.h"

#include "base/file.h"

namespace diatom::agent {

Result<std::string> find_disk(std::string_view serial) {
  for (const std::string& name : TRY(list_directory("/sys/block"))) {
    auto found = read_file("/sys/block/" + name + "/serial", 256);
    if (found && *found == serial) return "/dev/" + name;
  }
  return fail(Errc::not_found, "find disk \"" + std::string(serial) + "\": the VM has none");
}

}  // namespace diatom::agent
