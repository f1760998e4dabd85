// What a container has changed: its writable layer as overlayfs keeps it, against the image below.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"

namespace diatom::agent {

// "A", "C" or "D", a path from the root, and a NUL, for each change, in the order of their names.
Result<> list_changes(int out);
// The changes as a layer of an image (image-spec layer.md): whiteouts as names, and nothing of what the agent itself
// has made to mount something on.
Result<> pack_changes(int out, std::function<void(const std::string&)> warn);

}  // namespace diatom::agent
