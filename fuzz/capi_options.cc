// Options of the C API: each is understood or refused, whatever the text.
#include "capi/options.h"

#include "fuzz.h"

using namespace diatom;
using namespace diatom::capi;

namespace {

template <class Options>
bool check(const Result<Options>& options) {
  if (!options) fuzz::require_refusal(options.error());
  return options.has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text = fuzz::as_text(data, size);
  check(parse_locations(text));
  if (auto query = parse_event_query(text); check(query))
    for (const auto& [key, values] : query->filters) REQUIRE(!values.empty());
  RegistryAccess access;
  check(parse_credentials(text, access));
  check(parse_pull(text));
  check(parse_push(text));
  check(parse_image_prune(text));
  check(parse_import(text));
  check(parse_container_prune(text));
  check(parse_flag(text, "force"));
  check(parse_join(text));
  check(parse_run(text));
  check(parse_exec(text));
  if (auto stop = parse_stop(text); check(stop) && stop->timeout) REQUIRE(stop->timeout->count() >= 0);
  if (auto update = parse_update(text); check(update) && update->cpus) REQUIRE(*update->cpus > 0);
  check(parse_copy(text));
  check(parse_commit(text));
  check(parse_logs(text));
  if (auto deadline = parse_stats(text); check(deadline)) REQUIRE(deadline->count() >= 0);
  return 0;
}
