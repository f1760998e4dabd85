// Paths of a layer: what comes out stays below the root, and is its own normal form.
#include "rootfs/path.h"

#include "fuzz.h"

namespace {

void check(const diatom::Result<std::string>& path, diatom::Result<std::string> (*normalise)(std::string_view)) {
  if (!path) return diatom::fuzz::require_refusal(path.error());
  REQUIRE(path->size() <= 4095);
  REQUIRE(!path->starts_with('/') && !path->ends_with('/'));
  std::string framed = "/" + *path + "/";
  for (std::string_view part : {"/../", "/./"}) REQUIRE(framed.find(part) == std::string::npos);
  REQUIRE(path->empty() || framed.find("//") == std::string::npos);
  REQUIRE(path->find('\0') == std::string::npos);
  REQUIRE(normalise(*path).value() == *path);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text = diatom::fuzz::as_text(data, size);
  check(diatom::rootfs::normalise_path(text), diatom::rootfs::normalise_path);
  check(diatom::rootfs::normalise_link_target(text), diatom::rootfs::normalise_link_target);
  return 0;
}
