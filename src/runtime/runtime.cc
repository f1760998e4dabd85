#include "diatom/runtime.h"

#include "runtime/foreground_run.h"
#include "runtime/spec_json.h"
#include "store/store.h"

namespace diatom {

struct Runtime::Impl {
  std::unique_ptr<store::Store> store;
  Images images;
};

namespace {

ContainerInfo info_of(const store::ContainerRecord& record) {
  return {.id = record.id,
          .name = record.name,
          .state = record.state,
          .image_id = "sha256:" + record.image,
          .image = record.image_name,
          .command = command_of(record.spec),
          .created_ns = record.created_ns,
          .started_ns = record.started_ns,
          .finished_ns = record.finished_ns,
          .exit_code = record.exit_code,
          .signal = record.signal,
          .oom_killed = record.oom_killed,
          .error = record.error,
          .engine = record.engine,
          .accelerator = record.accelerator,
          .kernel = record.kernel,
          .spec_json = record.spec};
}

bool has_vm(const store::ContainerRecord& record) { return record.state == "starting" || record.state == "running"; }

}  // namespace

Runtime::Runtime(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Runtime::Runtime(Runtime&&) noexcept = default;
Runtime& Runtime::operator=(Runtime&&) noexcept = default;
Runtime::~Runtime() = default;

Result<Runtime> Runtime::open() {
  store::Paths paths = TRY(store::default_paths());
  auto store = TRY(store::Store::open(std::move(paths)));
  TRY(store->containers().recover());
  return Runtime(std::make_unique<Impl>(Impl{std::move(store), TRY(Images::open())}));
}

Result<RunResult> Runtime::run(const ContainerSpec& spec, const RunOptions& options) {
  return ForegroundRun(*impl_->store, impl_->images, spec, options).run();
}

Result<std::vector<ContainerInfo>> Runtime::containers(bool all) {
  std::vector<ContainerInfo> found;
  for (const auto& record : TRY(impl_->store->containers().list()))
    if (all || has_vm(record)) found.push_back(info_of(record));
  return found;
}

Result<ContainerInfo> Runtime::container(std::string_view reference) {
  return info_of(TRY(impl_->store->containers().find(reference)));
}

Result<std::string> Runtime::remove_container(std::string_view reference, bool force) {
  store::ContainerStore& containers = impl_->store->containers();
  store::ContainerRecord record = TRY(containers.find(reference));
  auto lock = TRY(containers.try_lock(record.id));
  if (!lock && !force)
    return fail(Errc::invalid_argument, "remove container \"" + record.name + "\": it is running",
                "end it first, or use --force");
  if (!lock) lock = TRY(containers.take_from_owner(record.id));
  TRY(containers.erase(record.id));
  return record.id;
}

int run_exit_code(const Error& error) {
  if (error.code == Errc::cancelled) return 130;
  return error.code == Errc::start_failed && error.exit_code != 0 ? error.exit_code : 125;
}

}  // namespace diatom
