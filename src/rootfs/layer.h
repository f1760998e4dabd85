// A layer of an image, stored once and shared by every image that has it: the contents of its files, each
// starting on a 4 KiB block, and an index of its entries (docs/format/layer.md). An image's root file system is then
// a small EROFS metadata image over the data of its layers (rootfs/image.h).
#pragma once

#include <cstdint>
#include <string>

#include "base/cancel.h"
#include "base/error.h"
#include "rootfs/byte_source.h"

namespace diatom::rootfs {

struct LayerLimits {
  uint64_t max_bytes = 64ULL << 30;  // of the inflated tar stream, and of the zeros in the gaps of its sparse files
  uint64_t max_entries = 8ULL << 20;
};

struct LayerInfo {
  std::string diff_id;      // "sha256:…" of the uncompressed tar
  uint64_t data_bytes = 0;  // length of the data file, a multiple of 4096
  uint64_t tar_bytes = 0;   // length of the uncompressed tar
  uint64_t entries = 0;
};

// Reads one layer tar (plain, gzip or zstd: told from its first bytes) to its end and writes its data and its index
// to two empty files, which the caller owns, syncs and renames. `name` stands for the layer in error messages.
// Errors: invalid_argument for a tar that is damaged, over a limit, or has a path that no layer may have; cancelled.
Result<LayerInfo> write_layer(ByteSource& blob, std::string_view name, int data_fd, int index_fd,
                              const LayerLimits& limits, const CancelToken& cancel);

// The diff id alone ("sha256:…"): reads and inflates all of it, and keeps nothing.
Result<std::string> layer_diff_id(ByteSource& blob, std::string_view name, const LayerLimits& limits,
                                  const CancelToken& cancel);

}  // namespace diatom::rootfs
