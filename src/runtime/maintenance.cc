#include "runtime/maintenance.h"

#include "image/resolve.h"
#include "runtime/create.h"
#include "runtime/plan.h"
#include "runtime/spec_record.h"

namespace diatom {

namespace {

constexpr std::string_view directory_name = "maintenance";
constexpr uint64_t memory_bytes = 256ULL << 20;

// What of a container matters to its files.
Result<TaskPlan> plan_maintenance(store::Store& store, const store::ContainerRecord& container,
                                  const ContainerSpec& asked, const vm::Engine& engine, const fs::path& directory) {
  ContainerSpec spec;
  spec.network = "none";
  spec.no_template = asked.no_template;
  spec.cpus = 1;
  spec.memory_bytes = memory_bytes;
  spec.disk_bytes = asked.disk_bytes;
  ResolvedImage image = TRY(image::resolve_image(store, "sha256:" + container.image));
  vm::GuestKernel kernel = TRY(engine.find_kernel(store.paths().kernels()));
  fs::path upper = store.paths().container(container.id) / "upper.ext4";
  Plan plan = TRY(plan_container({.id = container.id,
                                  .spec = spec,
                                  .image = image,
                                  .kernel = kernel,
                                  .directory = directory,
                                  .templates = store.paths().templates(),
                                  .channel_socket = store.paths().agent_socket(container.id),
                                  .upper = asked.read_only ? fs::path() : upper,
                                  .format_upper = upper_formatter(store, asked.disk_bytes)}));
  plan.task.has_program = false;
  return std::move(plan.task);
}

}  // namespace

Result<std::unique_ptr<MaintenanceVm>> MaintenanceVm::start(EventLoop& loop, store::Store& store,
                                                            const store::ContainerRecord& container, FileLock lock,
                                                            Handlers handlers) {
  fs::path directory = store.paths().container(container.id) / directory_name;
  TRY(remove_tree(directory));  // of one that was killed
  ContainerSpec asked = TRY(decode_spec(container.wanted));
  std::unique_ptr<MaintenanceVm> vm(new MaintenanceVm(directory, std::move(lock)));
  vm->engines_ = vm::all_engines();
  vm::Selected engine = TRY(vm::select_engine(vm->engines_, asked.engine));
  TaskPlan plan = TRY(plan_maintenance(store, container, asked, *engine.engine, directory));
  TRY(make_directories(directory));
  plan.machine.held_lock = vm->lock_.fd();
  MaintenanceVm* self = vm.get();
  TaskHandlers task_handlers{.on_stage = {},
                             .on_started =
                                 [self, on_ready = std::move(handlers.on_ready)] {
                                   // What it had to open is open: a kill leaves nothing behind from here on.
                                   [[maybe_unused]] auto ignored = remove_tree(self->directory_.path());
                                   on_ready(self->task_->agent());
                                 },
                             .on_output = {},
                             .on_output_end = {},
                             .on_stdin_writable = {},
                             .on_end =
                                 [on_end = std::move(handlers.on_end)](Result<channel::ExitReport> report) {
                                   on_end(report ? Result<>() : Result<>(std::unexpected(report.error())));
                                 }};
  vm->task_ = std::make_unique<Task>(loop, std::move(plan), std::move(task_handlers));
  TRY(vm->task_->start(*engine.engine));
  return vm;
}

void MaintenanceVm::finish() { task_->finish(); }

}  // namespace diatom
