#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace diatom::image {

// Applies Dockerfile instructions to an image config (JSON, image-spec config.md) and returns the new one: CMD
// ENTRYPOINT ENV EXPOSE LABEL ONBUILD STOPSIGNAL USER VOLUME WORKDIR. Pure. Errors: invalid_argument names the
// instruction.
Result<std::string> apply_changes(const std::string& config_json, const std::vector<std::string>& changes);

}  // namespace diatom::image
