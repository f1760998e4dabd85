// An image that comes about here: what import and commit have in common. The caller holds the store's lock for adding.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "image/unpack.h"
#include "oci/manifest.h"
#include "rootfs/byte_source.h"
#include "store/store.h"

namespace diatom::image {

// A layer that is read once: as files, and as the blob that it came as.
struct KeptLayer {
  NewLayer layer;
  oci::Descriptor blob;
};
Result<KeptLayer> keep_layer(const store::Paths& paths, rootfs::ByteSource& source, std::string_view name,
                             const CancelToken& cancel);

std::string created_now();  // RFC 3339
// The canonical names that it is to have: none, or one. `what`, for messages: "import x.tar".
Result<std::vector<std::string>> chosen_tags(std::string_view what, const std::string& reference);

struct NewImage {
  std::string config;                      // JSON
  std::vector<oci::Descriptor> blobs;      // of its layers, lowest first
  std::vector<store::LayerRecord> layers;  // the same
  std::vector<std::string> tags;           // canonical
};
// Returns its id ("sha256:…"). `actions` are the events of the image that tell of it.
Result<std::string> put_new_image(store::Store& store, NewImage image, const std::vector<std::string>& actions,
                                  const CancelToken& cancel);

}  // namespace diatom::image
