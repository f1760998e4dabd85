// WWW-Authenticate as a hostile server may write it: what is read, printed and read again is the same.
#include <cstdint>
#include <cstdlib>

#include "image/registry/challenge.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace diatom::image;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const Challenge& challenge : parse_challenges(text)) {
    // Printing sorts the parameters; a value with a NUL cannot come from a header.
    auto again = parse_challenges(print_challenge(challenge));
    if (again.size() != 1 || again[0] != challenge) std::abort();
  }
  Scopes scopes(text);
  Scopes second;
  for (const auto& scope : scopes.texts()) second.add(scope);
  if (second.texts() != scopes.texts()) std::abort();
  return 0;
}
