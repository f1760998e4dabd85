// What a container is made from: an image's defaults and its root device. Apart from the rest of images, which brings a
// registry's client along: a monitor needs none.
#pragma once

#include <string_view>
#include <vector>

#include "diatom/images.h"
#include "store/store.h"

namespace diatom::image {

// The EROFS metadata, then the data of each layer.
std::vector<ImageExtent> root_device(const store::Paths& paths, const store::ImageRecord& record);
// By name, id or unique prefix of one.
Result<ResolvedImage> resolve_image(store::Store& store, std::string_view reference);

}  // namespace diatom::image
