#pragma once

#include <string>

#include "base/cancel.h"
#include "diatom/images.h"
#include "store/store.h"

namespace diatom::image {

// See Images::import_rootfs. `store` must not be used meanwhile.
Result<LoadedImage> import_rootfs(store::Store& store, const std::string& path, const ImportOptions& options,
                                  const CancelToken& cancel);

}  // namespace diatom::image
