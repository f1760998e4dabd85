// Platforms: what was understood is printed and understood again, and fits itself.
#include "oci/platform.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace diatom;
  auto platform = oci::parse_platform(fuzz::as_text(data, size));
  if (!platform) {
    fuzz::require_refusal(platform.error());
    return 0;
  }
  auto again = oci::parse_platform(oci::print_platform(*platform));
  REQUIRE(again && oci::print_platform(*again) == oci::print_platform(*platform));
  REQUIRE(oci::platform_fit(*platform, *platform) > 0);
  return 0;
}
