#include "runtime/container_events.h"

#include "runtime/spec_record.h"

namespace diatom {

Event container_event(std::string_view action, const store::ContainerRecord& container,
                      std::map<std::string, std::string> attributes) {
  if (auto spec = decode_spec(container.wanted)) attributes.insert(spec->labels.begin(), spec->labels.end());
  attributes["image"] = container.image_name;
  attributes["name"] = container.name;
  return {.time_ns = 0,
          .type = "container",
          .action = std::string(action),
          .actor_id = container.id,
          .attributes = std::move(attributes)};
}

void record_container_event(store::Store& store, std::string_view action, const store::ContainerRecord& container,
                            std::map<std::string, std::string> attributes) {
  [[maybe_unused]] auto ignored = store.events().record(container_event(action, container, std::move(attributes)));
}

}  // namespace diatom
