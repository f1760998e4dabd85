// Dockerfile instructions for an image config: any text is refused or gives a config that can be read.
#include "image/changes.h"

#include "fuzz.h"
#include "oci/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace diatom;
  const std::string base = R"({"rootfs":{"type":"layers","diff_ids":[]},"config":{"WorkingDir":"/a","Env":["A=1"]}})";
  auto changed = image::apply_changes(base, {std::string(fuzz::as_text(data, size))});
  if (!changed) {
    fuzz::require_refusal(changed.error());
    return 0;
  }
  REQUIRE(oci::parse_config(*changed));
  return 0;
}
