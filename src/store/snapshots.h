#pragma once

#include <string>

#include "base/error.h"
#include "store/paths.h"

namespace diatom::store {

// Snapshots of containers that were made of that image (its id): they need it. What is damaged needs none.
Result<size_t> count_snapshots_of_image(const Paths& paths, const std::string& image);

}  // namespace diatom::store
