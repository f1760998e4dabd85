// One VM of a host at a time has its GPU.
#pragma once

#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace diatom {

// Takes the host's lock, in the name of `holder`; it is held for as long as any process has the descriptor, and the
// kernel frees it with the last of them. Errors: already_exists, which says who has it.
Result<UniqueFd> lock_gpu(const std::string& holder);

}  // namespace diatom
