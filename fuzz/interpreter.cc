// How a file of an image begins: what is taken for its interpreter is a name that open(2) can be given.
#include "fuzz.h"
#include "read_ahead.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view head = diatom::fuzz::as_text(data, size);
  std::string path = diatom::agent::interpreter_of(head);
  REQUIRE(path.size() <= head.size());
  REQUIRE(path.empty() || head.starts_with("#!") ||
          (head.starts_with("\x7f"
                            "ELF") &&
           path.find('\0') == path.npos));
  return 0;
}
