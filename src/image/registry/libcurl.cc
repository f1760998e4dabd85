#include "image/registry/libcurl.h"

namespace diatom::image {

namespace {

Libcurl load() {
  Libcurl loaded;
  if (loaded.library.usable()) loaded.global_init(CURL_GLOBAL_DEFAULT);
  return loaded;
}

}  // namespace

const Libcurl& libcurl() {
  static const Libcurl loaded = load();
  return loaded;
}

Result<> load_libcurl() { return libcurl().library.usable(); }

}  // namespace diatom::image
