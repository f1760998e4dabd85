#include "rootfs/crc32c.h"

namespace diatom::rootfs {

// Bit by bit: it covers one block of an image.
uint32_t crc32c(std::string_view data) {
  constexpr uint32_t reversed_polynomial = 0x82f63b78;
  uint32_t crc = 0xffffffff;
  for (char byte : data) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? reversed_polynomial : 0);
  }
  return crc;
}

}  // namespace diatom::rootfs
