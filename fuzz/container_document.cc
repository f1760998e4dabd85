// Container documents: what was understood names an image and a service's parts as labels; all else is refused.
#include "diatom/service.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto request = diatom::parse_container_request(diatom::fuzz::as_text(data, size));
  if (!request) {
    REQUIRE(request.error().code == diatom::Errc::invalid_argument ||
            request.error().code == diatom::Errc::unsupported);
    REQUIRE(!request.error().message.empty());
    return 0;
  }
  const diatom::ContainerSpec& container = request->container;
  REQUIRE(!container.image.empty());
  REQUIRE(container.cpus > 0 && container.log.max_files >= 1);
  for (const auto* words : {&container.args, &container.env, &container.cap_add, &container.dns})
    for (const auto& word : *words) REQUIRE(word.find('\0') == std::string::npos);
  for (const auto& port : container.ports) REQUIRE(port.container_port != 0);
  return 0;
}
