// The root file system of an image: an EROFS metadata image, followed on the same block device by the data of each
// layer, lowest first. Nothing of a layer is copied.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/cancel.h"
#include "base/error.h"

namespace diatom::rootfs {

struct LayerFiles {
  int index_fd = -1;  // borrowed
};

// Of what one image may take while its layers are merged.
struct ImageLimits {
  uint64_t max_tree_bytes = 88ULL << 20;  // of memory: some 1.4 million files with names of 16 bytes
};
inline constexpr size_t most_layers = 4096;

struct ImageInfo {
  uint64_t metadata_bytes = 0;  // length of the metadata image, a multiple of 4096
  uint64_t total_bytes = 0;     // of the whole device: metadata and the data of every layer
  uint64_t inodes = 0;
};

// Merges the layers (lowest first; whiteouts and opaque directories applied as OCI image-spec layer.md says) and
// writes the EROFS metadata to `out_fd`, an empty file. `identity` (the image's digest) becomes the volume's UUID, so
// that the same image gives the same bytes. Errors: invalid_argument names the layer and the path, or the limit.
Result<ImageInfo> write_image(std::span<const LayerFiles> layers, std::string_view identity, int out_fd,
                              const ImageLimits& limits, const CancelToken& cancel);

}  // namespace diatom::rootfs
