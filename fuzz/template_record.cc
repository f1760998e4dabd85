// Whatever lies in a template's folder: what was read of it is written to what reads the same, and a failure is tried
// again within the hour.
#include <chrono>

#include "base/clock.h"
#include "fuzz.h"
#include "vm/qemu/template_files.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace diatom;
  std::string_view text = fuzz::as_text(data, size);
  vm::TemplateDocument document = vm::parse_template_document(text);
  std::string printed = vm::print_template_document(document);
  REQUIRE(vm::print_template_document(vm::parse_template_document(printed)) == printed);

  auto failure = vm::parse_template_failure(text);
  if (!failure) return 0;
  REQUIRE(failure->count > 0);
  REQUIRE(failure->retry_ns > 0);
  REQUIRE(failure->retry_ns <= wall_clock_ns() + std::chrono::nanoseconds(std::chrono::hours(1)).count());
  return 0;
}
