// Any text is a template or an error; one that can be executed gives the same output each time.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli/template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace diatom::cli;
  static const diatom::Json value = {{"ID", "sha256:0123"},
                                     {"Size", 12},
                                     {"Real", 1.5},
                                     {"None", nullptr},
                                     {"Tags", {"a:1", "b:2"}},
                                     {"Labels", {{"k", "v"}, {"l", true}}}};
  auto parsed = Template::parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!parsed) {
    if (parsed.error().code != diatom::Errc::invalid_argument) std::abort();
    return 0;
  }
  auto first = parsed->execute(value);
  auto second = parsed->execute(value);
  if (first.has_value() != second.has_value() || (first && *first != *second)) std::abort();
  return 0;
}
