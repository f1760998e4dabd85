#pragma once

#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "diatom/images.h"
#include "store/store.h"

namespace diatom::image {

// See Images::pull and Images::pull_all_tags. `store` must not be used meanwhile.
Result<PulledImage> pull_image(store::Store& store, std::string_view reference, const PullOptions& options,
                               const CancelToken& cancel);
Result<std::vector<PulledImage>> pull_tags(store::Store& store, std::string_view repository, const PullOptions& options,
                                           const CancelToken& cancel);

}  // namespace diatom::image
