#include "diatom/templates.h"

#include <algorithm>
#include <utility>

#include "base/cancel.h"
#include "image/resolve.h"
#include "runtime/create.h"
#include "runtime/guest_preparation.h"
#include "runtime/plan.h"
#include "store/store.h"
#include "vm/engine.h"

namespace diatom {

struct Templates::Impl {
  store::Paths paths;
  CancelToken cancel;
};

namespace {

TemplateInfo to_info(vm::TemplateRecord record) {
  return {.name = std::move(record.name),
          .vcpus = record.vcpus,
          .memory_bytes = record.memory_bytes,
          .network = record.network,
          .writable = record.upper_bytes > 0,
          .image = std::move(record.image),
          .kernel = std::move(record.kernel),
          .accelerator = std::move(record.accelerator),
          .created_ns = record.created_ns,
          .used_ns = record.used_ns,
          .disk_bytes = record.disk_bytes,
          .usable = record.whole,
          .failure = std::move(record.failure),
          .retry_ns = record.retry_ns};
}

}  // namespace

Templates::Templates(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Templates::Templates(Templates&&) noexcept = default;
Templates& Templates::operator=(Templates&&) noexcept = default;
Templates::~Templates() = default;

Result<Templates> Templates::open(const Locations& locations) {
  auto impl = std::make_unique<Impl>();
  impl->paths = TRY(store::find_paths(locations));
  return Templates(std::move(impl));
}

Result<std::vector<TemplateInfo>> Templates::list() {
  std::vector<TemplateInfo> infos;
  for (auto& record : TRY(vm::list_templates(impl_->paths.templates()))) infos.push_back(to_info(std::move(record)));
  return infos;
}

Result<uint64_t> Templates::remove(std::string_view name) {
  return vm::remove_template(impl_->paths.templates(), std::string(name));
}

Result<TemplateInfo> Templates::build(const ContainerSpec& spec) {
  auto engines = vm::all_engines();
  vm::Selected engine = TRY(vm::select_engine(engines, spec.engine));
  vm::GuestKernel kernel = TRY(engine.engine->find_kernel(impl_->paths.kernels()));
  ResolvedImage image;
  auto store = TRY(store::Store::open(impl_->paths));
  if (!spec.image.empty()) image = TRY(image::resolve_image(*store, spec.image));
  fs::path nowhere = impl_->paths.container("template") / "upper.ext4";  // its disk is new
  Plan plan = TRY(plan_container({.id = "template",
                                  .spec = spec,
                                  .image = image,
                                  .kernel = kernel,
                                  .directory = {},
                                  .templates = impl_->paths.templates(),
                                  .upper = spec.read_only ? fs::path() : nowhere,
                                  .format_upper = upper_formatter(*store, spec.disk_bytes),
                                  .max_vcpus = engine.availability.max_vcpus}));
  vm::MachineSpec& machine = plan.task.machine;
  if (!spec.image.empty()) machine.preparation = prepare_guest(plan.task.container, image);
  uint64_t upper_bytes = spec.read_only ? 0 : spec.disk_bytes;
  TRY(vm::forget_template_failures(machine.templates));
  if (auto prepare = engine.engine->preparation(machine)) TRY(prepare(impl_->cancel));
  for (auto& record : TRY(vm::list_templates(machine.templates)))
    if (record.whole && record.image == image.id && record.vcpus == machine.vcpus &&
        record.memory_bytes == machine.memory_bytes && record.network == machine.network.has_value() &&
        record.upper_bytes == upper_bytes)
      return to_info(std::move(record));
  return fail(Errc::unsupported, "make template: engine " + std::string(engine.engine->name()) + " has none here",
              "engine qemu has, with accelerator kvm or tcg");
}

void Templates::cancel() { impl_->cancel.cancel(); }

}  // namespace diatom
