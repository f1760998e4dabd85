// The runtime itself, this host, what happens on it, and registries' users.
#include <memory>

#include "capi/call.h"
#include "capi/options.h"
#include "runtime/json/documents.h"

using namespace diatom;
using namespace diatom::capi;

diatom_status diatom_open(const char* options, diatom_runtime** runtime, diatom_error** error) {
  if (runtime != nullptr) *runtime = nullptr;
  return guarded(error, [&]() -> Result<> {
    if (runtime == nullptr) return std::unexpected(null_argument("runtime"));
    auto opened = std::make_unique<diatom_runtime>();
    opened->locations = TRY(parse_locations(options_or_none(options)));
    static_cast<void>(TRY(opened->runtime()));
    *runtime = opened.release();
    return {};
  });
}

void diatom_close(diatom_runtime* runtime) { delete runtime; }

void diatom_cancel(diatom_runtime* runtime) {
  if (runtime == nullptr) return;
  runtime->cancelled = true;
  runtime->runtime_slot.cancel();
  runtime->images_slot.cancel();
  runtime->events_slot.cancel();
}

diatom_status diatom_info(diatom_runtime* runtime, char** json, diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    SystemInfo system = TRY(system_info(self.locations));
    Runtime* containers = TRY(self.runtime());
    auto all = TRY(containers->containers(true));
    Images* images = TRY(self.images());
    return give(json, info_json(system, all, TRY(images->list()).size()));
  });
}

diatom_status diatom_version_info(diatom_runtime* runtime, char** json, diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    return give(json, version_json(TRY(system_info(self.locations))));
  });
}

diatom_status diatom_doctor(diatom_runtime* runtime, char** json, diatom_error** error) {
  clear(json);
  return call(runtime, error,
              [&](diatom_runtime& self) -> Result<> { return give(json, doctor_json(doctor(self.locations))); });
}

diatom_status diatom_disk_usage(diatom_runtime* runtime, char** json, diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    Runtime* containers = TRY(self.runtime());
    return give(json, disk_usage_json(TRY(containers->disk_usage())));
  });
}

diatom_status diatom_templates_prune(diatom_runtime* runtime, uint64_t* freed_bytes, diatom_error** error) {
  if (freed_bytes != nullptr) *freed_bytes = 0;
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    Runtime* containers = TRY(self.runtime());
    uint64_t freed = TRY(containers->prune_templates());
    if (freed_bytes != nullptr) *freed_bytes = freed;
    return {};
  });
}

diatom_status diatom_events(diatom_runtime* runtime, const char* options, diatom_event_callback callback, void* user,
                            diatom_error** error) {
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    if (callback == nullptr) return std::unexpected(null_argument("callback"));
    EventQuery query = TRY(parse_event_query(options_or_none(options)));
    Events* events = TRY(self.events());
    return events->read(query,
                        [&](const Event& event) { return callback(user, print_json(event_json(event)).c_str()) == 0; });
  });
}

diatom_status diatom_login(diatom_runtime* runtime, const char* registry, const char* options, char** json,
                           diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime&) -> Result<> {
    std::string name(TRY(text("registry", registry)));
    RegistryAccess access;
    Credentials credentials = TRY(parse_credentials(options_or_none(options), access));
    return give(json, login_json(TRY(login(name, credentials, access))));
  });
}

diatom_status diatom_logout(diatom_runtime* runtime, const char* registry, const char* options, char** json,
                            diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime&) -> Result<> {
    std::string name(TRY(text("registry", registry)));
    RegistryAccess access;
    TRY(parse_credentials(options_or_none(options), access));
    return give(json, login_json(TRY(logout(name, access))));
  });
}
