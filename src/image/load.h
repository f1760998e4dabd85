#pragma once

#include <string>
#include <vector>

#include "base/cancel.h"
#include "diatom/images.h"
#include "store/store.h"

namespace diatom::image {

// See Images::load. `store` must not be used meanwhile.
Result<std::vector<LoadedImage>> load_archive(store::Store& store, const std::string& path, const CancelToken& cancel);

}  // namespace diatom::image
