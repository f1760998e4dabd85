// The guest's list of what a container has changed.
#include "runtime/changes.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text = diatom::fuzz::as_text(data, size);
  auto changes = diatom::decode_changes(text);
  if (!changes) {
    diatom::fuzz::require_refusal(changes.error(), diatom::Errc::guest);
    return 0;
  }
  size_t bytes = 0;
  for (const auto& change : *changes) {
    REQUIRE(change.path.starts_with('/') && change.path.find('\0') == std::string::npos);
    bytes += change.path.size() + 2;
  }
  REQUIRE(bytes == size);
  return 0;
}
