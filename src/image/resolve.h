// What a container is made from: an image's defaults and its root device. Apart from the rest of images, which brings a
// registry's client along: a monitor needs none.
#pragma once

#include <string_view>
#include <vector>

#include "diatom/images.h"
#include "oci/manifest.h"
#include "store/store.h"

namespace diatom::image {

// The EROFS metadata, then the data of each layer.
std::vector<ImageExtent> root_device(const store::Paths& paths, const store::ImageRecord& record);
struct ReadConfig {
  std::string json;
  oci::ImageConfig parsed;
};
// Errors: not_found where another process has removed the image since, internal where it is damaged.
Result<ReadConfig> read_config(store::Store& store, const store::ImageRecord& record);
std::vector<std::string> familiar_names(const std::vector<std::string>& canonical);
// By name, id or unique prefix of one.
Result<ResolvedImage> resolve_image(store::Store& store, std::string_view reference);

}  // namespace diatom::image
