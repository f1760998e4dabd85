// What pull, load and import check of an image's documents before anything is made of them.
#pragma once

#include <string_view>
#include <vector>

#include "image/unpack.h"
#include "oci/manifest.h"

namespace diatom::image {

oci::Platform host_platform();  // linux, on this host's architecture

// Every layer is of a kind that we read. `what` is the manifest, for messages.
Result<> check_layer_types(std::string_view what, const oci::Manifest& manifest);

// The config's layers, each with its blob in the manifest. Errors: invalid_argument when the two do not fit together.
struct LayerPair {
  oci::Digest diff_id;
  oci::Descriptor blob;
};
Result<std::vector<LayerPair>> pair_layers(std::string_view what, const oci::Manifest& manifest,
                                           const oci::ImageConfig& config);

}  // namespace diatom::image
