#pragma once

#include <string_view>

#include "base/cancel.h"
#include "rootfs/image.h"
#include "rootfs/index_files.h"
#include "rootfs/tree.h"

namespace diatom::rootfs {

// Writes the tree of those layers as EROFS metadata (kernel fs/erofs/erofs_fs.h; docs/format/erofs.md) to an empty
// file. The contents of regular files are expected behind it on the device: the data of each layer, in order.
Result<ImageInfo> write_erofs(Tree& tree, IndexFiles& layers, std::string_view identity, int out_fd,
                              const CancelToken& cancel);

}  // namespace diatom::rootfs
