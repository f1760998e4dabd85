#pragma once

#include <cstdint>
#include <string_view>

namespace diatom::rootfs {

// CRC-32C (Castagnoli) as EROFS uses it: seeded with all ones, not inverted at the end.
uint32_t crc32c(std::string_view data);

}  // namespace diatom::rootfs
