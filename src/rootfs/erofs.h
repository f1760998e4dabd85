#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/cancel.h"
#include "rootfs/image.h"
#include "rootfs/tree.h"

namespace diatom::rootfs {

// Writes the tree as EROFS metadata (kernel fs/erofs/erofs_fs.h; docs/format/erofs.md) to an empty file. The contents
// of regular files are expected behind it on the device: `data_bytes[i]` of layer i, in order.
Result<ImageInfo> write_erofs(Tree& tree, std::span<const uint64_t> data_bytes, std::string_view identity, int out_fd,
                              const CancelToken& cancel);

}  // namespace diatom::rootfs
