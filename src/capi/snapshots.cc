// Snapshots and forks.
#include "capi/call.h"
#include "runtime/json/documents.h"

using namespace diatom;
using namespace diatom::capi;

namespace {

std::string_view text_or_none(const char* value) { return value != nullptr ? value : ""; }

}  // namespace

diatom_status diatom_container_fork(diatom_runtime* runtime, const char* container, uint32_t count, const char* name,
                                    char** json, diatom_error** error) {
  clear(json);
  return on_container(runtime, container, error, [&](Runtime& containers, std::string_view first) -> Result<> {
    ForkOptions options{.count = count, .name = std::string(text_or_none(name))};
    return give(json, Json(TRY(containers.fork(first, options))));
  });
}

diatom_status diatom_snapshot_create(diatom_runtime* runtime, const char* container, const char* name, char** json,
                                     diatom_error** error) {
  clear(json);
  return on_container(runtime, container, error, [&](Runtime& containers, std::string_view first) -> Result<> {
    return give(json, snapshot_json(TRY(containers.create_snapshot(first, std::string(text_or_none(name))))));
  });
}

diatom_status diatom_snapshot_list(diatom_runtime* runtime, char** json, diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    Runtime* containers = TRY(self.runtime());
    return give(json, list_of(TRY(containers->snapshots()), snapshot_json));
  });
}

diatom_status diatom_snapshot_remove(diatom_runtime* runtime, const char* snapshot, uint64_t* freed_bytes,
                                     diatom_error** error) {
  if (freed_bytes != nullptr) *freed_bytes = 0;
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string_view name = TRY(text("snapshot", snapshot));
    Runtime* containers = TRY(self.runtime());
    uint64_t freed = TRY(containers->remove_snapshot(name));
    if (freed_bytes != nullptr) *freed_bytes = freed;
    return {};
  });
}

diatom_status diatom_snapshot_restore(diatom_runtime* runtime, const char* snapshot, const char* name, char** json,
                                      diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string_view saved = TRY(text("snapshot", snapshot));
    Runtime* containers = TRY(self.runtime());
    std::string id = TRY(containers->restore_snapshot(saved, std::string(text_or_none(name))));
    return give(json, Json{{"Id", id}});
  });
}
