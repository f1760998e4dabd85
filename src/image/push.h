#pragma once

#include <string_view>

#include "base/cancel.h"
#include "diatom/images.h"
#include "store/store.h"

namespace diatom::image {

// See Images::push. `store` must not be used meanwhile.
Result<PushedImage> push_image(store::Store& store, std::string_view reference, const PushOptions& options,
                               const CancelToken& cancel);

}  // namespace diatom::image
