#pragma once

#include <string_view>
#include <vector>

#include "base/error.h"
#include "diatom/files.h"

namespace diatom {

// What the guest's list of changes says (docs/format/channel.md, "Tools"). Errors: guest, where it makes no sense.
Result<std::vector<FileChange>> decode_changes(std::string_view text);

}  // namespace diatom
