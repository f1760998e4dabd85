// Sizes: what was understood is a number of bytes, which plain bytes say as well; all else is refused.
#include "base/size.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto bytes = diatom::parse_size("memory", diatom::fuzz::as_text(data, size));
  if (!bytes) {
    diatom::fuzz::require_refusal(bytes.error());
    return 0;
  }
  REQUIRE(size > 0 && data[0] >= '0' && data[0] <= '9');
  REQUIRE(diatom::parse_size("memory", std::to_string(*bytes)).value() == *bytes);
  REQUIRE(!diatom::format_size(*bytes).empty());
  return 0;
}
