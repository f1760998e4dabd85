// From packed layers in the content store to a root file system that can be booted.
#pragma once

#include <span>

#include "base/cancel.h"
#include "oci/digest.h"
#include "store/store.h"

namespace diatom::image {

struct PackedLayer {
  oci::Digest diff_id;  // that the config promises; verified
  oci::Digest blob;
};

// Converts the layers that the store does not have yet, several at once, and writes the image's metadata. Returns the
// record of it, which the caller completes and puts. The caller holds the store's lock for adding.
Result<store::ImageRecord> unpack_image(store::Store& store, const oci::Digest& id, std::span<const PackedLayer> layers,
                                        const CancelToken& cancel);

}  // namespace diatom::image
