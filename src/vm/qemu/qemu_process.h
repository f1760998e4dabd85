#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/child.h"
#include "base/file.h"

namespace diatom::vm {

// A QEMU that runs, and our ends of what it talks through.
struct QemuProcess {
  Child child;
  UniqueFd channel;
  UniqueFd console;
  UniqueFd monitor;
};

// In a process group of its own, without our environment. What it has to say goes to the file `log`; `fds` are those
// that it gets besides, by the numbers that they have here and there.
Result<QemuProcess> start_qemu(std::vector<std::string> argv, const fs::path& log,
                               const std::vector<std::pair<int, int>>& fds);

}  // namespace diatom::vm
