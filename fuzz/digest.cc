// Digests: there is one way to write each, and it is safe as a file name.
#include "oci/digest.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text = diatom::fuzz::as_text(data, size);
  auto digest = diatom::oci::Digest::parse(text);
  if (!digest) {
    diatom::fuzz::require_refusal(digest.error());
    return 0;
  }
  REQUIRE(digest->text() == text);
  REQUIRE(digest->hex().size() == 64 && diatom::oci::is_hex(digest->hex()));
  return 0;
}
