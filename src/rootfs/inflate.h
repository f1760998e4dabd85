#pragma once

#include <memory>

#include "rootfs/byte_source.h"

namespace diatom::rootfs {

// What a layer blob holds uncompressed: gzip (RFC 1952, any number of members), zstd (RFC 8878, any number of frames)
// or bytes as they are, told from the first bytes. `blob` is borrowed. Damage is invalid_argument.
Result<std::unique_ptr<ByteSource>> inflate(BlockSource& blob);

}  // namespace diatom::rootfs
