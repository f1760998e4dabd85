// Published ports: what was understood is written as what means the same; all else is refused.
#include "net/port_mapping.h"

#include "fuzz.h"

using diatom::PortMapping;

namespace {

// As the command line would say it.
std::string written(const PortMapping& mapping) {
  bool is_v6 = mapping.host_address.find(':') != std::string::npos;
  std::string text = is_v6                          ? "[" + mapping.host_address + "]:"
                     : mapping.host_address.empty() ? ""
                                                    : mapping.host_address + ":";
  if (mapping.host_port != 0) text += std::to_string(mapping.host_port);
  if (mapping.last_host_port != 0) text += "-" + std::to_string(mapping.last_host_port);
  return text + ":" + std::to_string(mapping.container_port) + "/" + mapping.protocol;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text = diatom::fuzz::as_text(data, size);
  auto mappings = diatom::net::parse_port_mapping(text);
  if (!mappings) diatom::fuzz::require_refusal(mappings.error());
  if (mappings) {
    REQUIRE(!mappings->empty());
    for (const PortMapping& mapping : *mappings) {
      REQUIRE(mapping.container_port != 0);
      REQUIRE(mapping.last_host_port == 0 || mapping.last_host_port > mapping.host_port);
      auto again = diatom::net::parse_port_mapping(written(mapping));
      REQUIRE(again && again->size() == 1 && again->front() == mapping);
    }
  }
  if (auto exposed = diatom::net::parse_exposed_port(text)) REQUIRE(mappings && *exposed == *mappings);
  return 0;
}
