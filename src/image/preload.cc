#include "image/preload.h"

#include <system_error>

#include "image/registry/libcurl.h"
#include "rootfs/libarchive.h"

namespace diatom::image {

Preload::Preload() {
  try {
    thread_ = std::thread([] {
      [[maybe_unused]] auto curl = load_libcurl();
      [[maybe_unused]] auto archive = rootfs::load_libarchive();
    });
  } catch (const std::system_error&) {
    return;
  }
}

Preload::~Preload() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace diatom::image
