#include "rootfs/libarchive.h"

namespace diatom::rootfs {

const LibArchive& libarchive() {
  static const LibArchive loaded;
  return loaded;
}

Result<> load_libarchive() { return libarchive().library.usable(); }

}  // namespace diatom::rootfs
