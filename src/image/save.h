#pragma once

#include <string>
#include <vector>

#include "base/cancel.h"
#include "store/store.h"

namespace diatom::image {

// See Images::save. `store` must not be used meanwhile.
Result<> save_images(store::Store& store, const std::vector<std::string>& references, int out_fd,
                     const CancelToken& cancel);

}  // namespace diatom::image
