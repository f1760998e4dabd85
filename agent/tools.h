// What the agent itself does with the container's files, each in a process of its own that reads or writes a stream
// (docs/format/channel.md, "Tools"). It sees the container's mounts, but is in none of its other namespaces nor in its
// cgroup: the container's programs neither see it nor hold it up, and it works while they stand still.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace diatom::agent {

// Whether there is one of that name, and whether it works on what the container's programs see, or on the layers below.
struct Tool {
  std::string_view name;
  bool inside;
  Result<> (*run)(const std::vector<std::string>& words);
};
const Tool* find_tool(std::string_view name);

// In its process, with its streams and its root: runs it, and says what went wrong.
[[noreturn]] void run_tool(const Tool& tool, const std::vector<std::string>& words);

}  // namespace diatom::agent
