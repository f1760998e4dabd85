#include "image/documents.h"

#include <fmt/core.h>

#include "base/platform/platform.h"

namespace diatom::image {

oci::Platform host_platform() { return {"linux", platform::host_info().arch, ""}; }

Result<> check_layer_types(std::string_view what, const oci::Manifest& manifest) {
  for (const oci::Descriptor& layer : manifest.layers)
    if (!oci::is_layer_type(layer.media_type))
      return fail(Errc::invalid_argument, fmt::format("read manifest {}: unknown media type \"{}\" of a layer", what,
                                                      layer.media_type.substr(0, 200)));
  return {};
}

Result<std::vector<LayerPair>> pair_layers(std::string_view what, const oci::Manifest& manifest,
                                           const oci::ImageConfig& config) {
  if (config.diff_ids.size() != manifest.layers.size())
    return fail(Errc::invalid_argument, fmt::format("read image {}: its config names {} layers, its manifest {}", what,
                                                    config.diff_ids.size(), manifest.layers.size()));
  std::vector<LayerPair> pairs;
  for (size_t i = 0; i < config.diff_ids.size(); ++i) pairs.push_back({config.diff_ids[i], manifest.layers[i]});
  return pairs;
}

}  // namespace diatom::image
