#include "disks.h"

#include "base/file.h"

namespace diatom::agent {

Result<std::string> find_disk(std::string_view serial) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/sys/block", error)) {
    auto found = read_file(entry.path() / "serial", 256);
    if (found && *found == serial) return "/dev/" + entry.path().filename().string();
  }
  return fail(Errc::not_found, "find disk \"" + std::string(serial) + "\": the VM has none");
}

}  // namespace diatom::agent
