#include "runtime/create.h"

#include "base/clock.h"
#include "base/platform/platform.h"
#include "image/resolve.h"
#include "rootfs/upper.h"
#include "runtime/container_events.h"
#include "runtime/names.h"
#include "runtime/plan.h"
#include "runtime/spec_json.h"
#include "runtime/spec_record.h"
#include "vm/engine.h"

namespace diatom {

Result<CreatedContainer> create_container(store::Store& store, const ContainerSpec& spec,
                                          const std::optional<Origin>& origin) {
  if (!spec.name.empty()) TRY(check_container_name(spec.name));
  ResolvedImage image = TRY(image::resolve_image(store, origin ? origin->image : spec.image));
  store::ContainerRecord record;
  record.id = make_container_id();
  record.name = spec.name.empty() ? make_container_name(record.id) : spec.name;
  fs::path directory = store.paths().container(record.id);
  fs::path upper = spec.read_only ? fs::path() : directory / "upper.ext4";
  // The kernel is that of its start, and so are the ports that it chooses. What is wrong with the rest is said now.
  std::vector<PortMapping> ports = TRY(plan_ports(spec, image.defaults));
  auto engines = vm::all_engines();
  auto engine = vm::select_engine(engines, spec.engine);  // none is a matter of the start
  Plan plan = TRY(plan_container({.id = record.id,
                                  .spec = spec,
                                  .image = image,
                                  .kernel = {},
                                  .directory = directory,
                                  .channel_socket = store.paths().agent_socket(record.id),
                                  .upper = upper,
                                  .max_vcpus = engine ? engine->availability.max_vcpus : platform::host_info().cpus,
                                  .ports = ports}));
  record.image = image.id.substr(image.id.find(':') + 1);
  record.image_name = spec.image;
  record.state = "created";
  // As docker: the image's labels are the container's, too. They are part of what was asked for, so that whoever looks
  // for a label need not look at the image.
  ContainerSpec labelled = spec;
  labelled.labels.insert(image.defaults.labels.begin(), image.defaults.labels.end());
  record.spec = print_spec(labelled, plan, image.defaults);
  record.wanted = encode_spec(labelled);
  record.auto_remove = spec.auto_remove;
  record.created_ns = wall_clock_ns();

  TemporaryPath undo(directory);
  FileLock lock = TRY(store.containers().create_directory(record.id));
  if (origin)
    TRY(origin->fill(directory));
  else if (!upper.empty())
    TRY(rootfs::prepare_upper(store.paths().templates(), spec.disk_bytes));
  {
    auto transaction = TRY(store.begin());
    TRY(store.containers().insert(record));
    TRY(store.events().append(container_event("create", record)));
    TRY(transaction.commit());
  }
  undo.keep();
  store.events().notify();
  return CreatedContainer{record.id, std::move(plan.warnings)};
}

std::function<Result<>(const fs::path&)> upper_formatter(const store::Store& store, uint64_t bytes) {
  return [templates = store.paths().templates(), bytes](const fs::path& to) {
    return rootfs::create_upper(templates, bytes, to);
  };
}

}  // namespace diatom
