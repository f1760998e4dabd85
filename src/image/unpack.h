// From packed layers to a root file system that can be booted. The caller holds the store's lock for adding all the
// while.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "base/cancel.h"
#include "oci/digest.h"
#include "oci/manifest.h"
#include "rootfs/byte_source.h"
#include "rootfs/image.h"
#include "rootfs/layer.h"
#include "store/content_store.h"
#include "store/store.h"

namespace diatom::image {

// The bytes of a packed layer, wherever they come from.
class LayerSource : public rootfs::ByteSource {
 public:
  // Reads what is left, and keeps what is to be kept. False: these were not the bytes that were asked for, and the next
  // attempt may bring others.
  virtual Result<bool> finish() = 0;
};

struct PackedLayer {
  oci::Digest diff_id;  // that the config promises; verified
  oci::Digest blob;
  uint64_t size = 0;                                           // of the blob: the largest is begun first
  bool paired = false;                                         // the store has recorded that the blob holds this layer
  std::function<Result<std::unique_ptr<LayerSource>>()> open;  // from any thread, again for each attempt
  std::function<void()> on_exists;                             // nothing of it was needed; may be empty
};

// A blob of the content store as a layer.
PackedLayer stored_layer(const store::Paths& paths, const oci::Digest& diff_id, const oci::Descriptor& blob,
                         bool paired);

// $DIATOM_MAX_LAYER_SIZE, else the default.
Result<rootfs::LayerLimits> layer_limits();

// $DIATOM_MAX_TREE_SIZE, else the default.
Result<rootfs::ImageLimits> image_limits();

// One layer converted, in files of no name yet.
struct NewLayer {
  store::Ingest data;
  store::Ingest index;
  rootfs::LayerInfo info;
};
Result<NewLayer> convert_layer(const store::Paths& paths, rootfs::ByteSource& blob, std::string_view name,
                               const rootfs::LayerLimits& limits, const CancelToken& cancel);
// Gives them their names: data first, so that an index stands for a whole layer.
Result<store::LayerRecord> commit_layer(const store::Paths& paths, NewLayer layer, const oci::Digest& blob);

// Converts the layers that the store does not have yet, several at once. Two processes that want the same one share the
// work: the second waits for the first. Records are in the order of the layers.
Result<std::vector<store::LayerRecord>> unpack_layers(const store::Paths& paths, std::span<const PackedLayer> layers,
                                                      const CancelToken& cancel);

// Writes the metadata of the root file system that the layers make. Returns the record of the image, which the caller
// completes and puts.
Result<store::ImageRecord> build_image(const store::Paths& paths, const oci::Digest& id,
                                       std::vector<store::LayerRecord> layers, const CancelToken& cancel);

}  // namespace diatom::image
