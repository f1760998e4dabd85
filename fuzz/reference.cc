// Image names: what was understood is written in a way that is understood the same.
#include "oci/reference.h"

#include "fuzz.h"

using diatom::oci::Reference;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto reference = Reference::parse(diatom::fuzz::as_text(data, size));
  if (!reference) {
    diatom::fuzz::require_refusal(reference.error());
    return 0;
  }
  std::string canonical = reference->canonical();
  for (const std::string& text : {canonical, reference->familiar()}) {
    auto again = Reference::parse(text);
    REQUIRE(again);
    REQUIRE(again->canonical() == canonical);
  }
  REQUIRE(!reference->repository.empty() && reference->repository.size() <= 255);
  REQUIRE(!reference->tag.empty() || !reference->digest.empty());
  REQUIRE(reference->repository.find("..") == std::string::npos);
  return 0;
}
