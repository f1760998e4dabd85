#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace diatom::rootfs {

// "./usr//lib/" → "usr/lib"; "./" and "/" → "" (the root). Refused, as invalid_argument that names the path: "..",
// other absolute paths, components beyond 255 bytes, paths beyond 4095.
Result<std::string> normalise_path(std::string_view path);

// The same for the target of a hard link, which some tools write absolute: it lies in the root file system either way.
Result<std::string> normalise_link_target(std::string_view path);

// Whether that is the normal form of a path that a layer may have: what normalise_path() gives, without making it.
bool is_normalised(std::string_view path);

}  // namespace diatom::rootfs
