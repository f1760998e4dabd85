// Any text is a time, a duration or a refusal; a time that is printed reads back as it was.
#include "base/time_text.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text = diatom::fuzz::as_text(data, size);
  auto point = diatom::parse_point_in_time(text, 1'700'000'000'000'000'000);
  if (!point) diatom::fuzz::require_refusal(point.error());
  if (auto time = diatom::parse_rfc3339(text)) {
    REQUIRE(point && *point == *time);
    REQUIRE(diatom::parse_rfc3339(diatom::format_rfc3339(*time)) == *time);
  }
  return 0;
}
