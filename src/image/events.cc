#include "image/events.h"

#include "oci/manifest.h"
#include "store/content_store.h"

namespace diatom::image {

Event image_event(const store::Paths& paths, std::string_view action, std::string actor, std::string name,
                  const std::string& config) {
  Event event{.type = "image", .action = std::string(action), .actor_id = std::move(actor), .attributes = {}};
  if (auto text = store::read_blob(paths, oci::Digest::from_hex(config)))
    if (auto parsed = oci::parse_config(*text)) event.attributes = std::move(parsed->labels);
  event.attributes["name"] = std::move(name);
  return event;
}

std::string familiar_name(oci::Reference reference) {
  reference.tag.clear();
  reference.digest = {};
  return reference.familiar();
}

}  // namespace diatom::image
