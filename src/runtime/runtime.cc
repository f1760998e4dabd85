#include "diatom/runtime.h"

#include "base/unix_socket.h"
#include "net/host_ports.h"
#include "runtime/container_events.h"
#include "runtime/create.h"
#include "runtime/launch.h"
#include "runtime/monitor/health.h"
#include "runtime/names.h"
#include "runtime/runtime_impl.h"
#include "runtime/spec_json.h"
#include "runtime/spec_record.h"
#include "runtime/stages.h"
#include "vm/engine.h"

namespace diatom {

namespace {

ContainerInfo info_of(const store::Paths& paths, const store::ContainerRecord& record) {
  ContainerInfo info{.id = record.id,
                     .name = record.name,
                     .state = record.state,
                     .image_id = "sha256:" + record.image,
                     .image = record.image_name,
                     .spec = {},
                     .command = command_of(record.spec),
                     .created_ns = record.created_ns,
                     .started_ns = record.started_ns,
                     .finished_ns = record.finished_ns,
                     .exit_code = record.exit_code,
                     .signal = record.signal,
                     .oom_killed = record.oom_killed,
                     .error = record.error,
                     .restart_count = static_cast<unsigned>(record.restarts),
                     .health = decode_health(record.health),
                     .pid = record.pid,
                     .address = record.address,
                     .ports = decode_ports(record.ports),
                     .engine = record.engine,
                     .accelerator = record.accelerator,
                     .kernel = record.kernel,
                     .start_kind = record.start_kind,
                     .stages = decode_stages(record.stages),
                     .spec_json = record.spec,
                     .log_path = (paths.container(record.id) / "container.log").string()};
  // One from before there were specs to start again from is still one to look at.
  if (auto spec = decode_spec(record.wanted)) info.spec = std::move(*spec);
  return info;
}

}  // namespace

Error not_running(std::string_view verb, const store::ContainerRecord& container) {
  return {Errc::invalid_argument,
          std::string(verb) + " container \"" + container.name + "\": it is not running (" + container.state + ")",
          "`diatom start " + container.name + "`", 0};
}

std::function<void(std::string_view)> stage_clock(const StageHandler& handler) {
  if (!handler) return nullptr;
  return [handler, begin = std::chrono::steady_clock::now()](std::string_view stage) {
    handler(stage, std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin));
  };
}

Runtime::Runtime(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Runtime::Runtime(Runtime&&) noexcept = default;
Runtime& Runtime::operator=(Runtime&&) noexcept = default;
Runtime::~Runtime() = default;

Result<Runtime> Runtime::open(const Locations& locations) {
  auto impl = std::make_unique<Impl>();
  store::Paths paths = TRY(store::find_paths(locations));
  impl->monitor_program = locations.monitor;
  impl->store = TRY(store::Store::open(std::move(paths)));
  impl->interrupt = TRY(Interrupt::create());
  TRY(impl->store->containers().recover());
  return Runtime(std::move(impl));
}

void Runtime::cancel() { impl_->interrupt->raise(); }

// ---- The monitor's other end.

Result<store::ContainerRecord> Runtime::Impl::find_true(std::string_view reference) {
  store::ContainerRecord record = TRY(find(reference));
  if (!store::has_owner(record)) return record;
  TRY(store->containers().recover_record(record.id));
  return find(record.id);
}

Result<std::optional<UniqueFd>> Runtime::Impl::try_connect(const std::string& id) {
  auto socket = connect_to(store->paths().control_socket(id));
  if (socket) return std::optional(std::move(*socket));
  if (socket.error().code != Errc::not_found) return std::unexpected(socket.error());
  TRY(store->containers().recover_record(id));
  return std::optional<UniqueFd>();
}

Result<UniqueFd> Runtime::Impl::connect(const store::ContainerRecord& container, std::string_view verb) {
  if (auto socket = TRY(try_connect(container.id))) return std::move(*socket);
  store::ContainerRecord now = TRY(find(container.id));
  if (!store::has_owner(now)) return std::unexpected(not_running(verb, now));
  return fail(Errc::internal,
              std::string(verb) + " container \"" + now.name + "\": its monitor runs, but does not listen at " +
                  store->paths().control_socket(now.id).string(),
              "is DIATOM_RUN what it was when the container was started?");
}

Result<std::string> Runtime::Impl::ask(const store::ContainerRecord& container, std::string_view verb,
                                       const std::string& method, const std::string& path, std::string_view body) {
  auto waiter = TRY(Waiter<std::string>::create(*interrupt));
  UniqueFd socket = TRY(connect(container, verb));
  auto client = TRY(ControlClient::connect(waiter->loop(), std::move(socket), [](const Error&) {}));
  client->call(method, path, body, [&](Result<std::string> answer) { waiter->done(std::move(answer)); });
  return waiter->wait();
}

// ---- From nothing to a program that runs.

Result<CreatedContainer> Runtime::create(const ContainerSpec& spec) { return create_container(*impl_->store, spec); }

Result<> Runtime::Impl::start_detached(const std::string& id, const StartOptions& options) {
  auto waiter = TRY(Waiter<bool>::create(*interrupt));
  auto stage = stage_clock(options.on_stage);
  UniqueFd socket = TRY(launch_monitor(store->paths(), monitor_program, id));
  auto client = TRY(ControlClient::connect(waiter->loop(), std::move(socket), [](const Error&) {}));
  client->await_start([&](const StartLine& line) {
    if (line.error) return waiter->done(std::unexpected(*line.error));
    if (stage) stage(line.stage);
    if (line.stage == started_stage) waiter->done(true);
  });
  static_cast<void>(TRY(waiter->wait()));
  return {};
}

Result<AttachResult> Runtime::Impl::start_attached(const store::ContainerRecord& container, const StartOptions& options,
                                                   const ProcessStreams& streams, bool tty, HeldSignals& signals) {
  auto stage = stage_clock(options.on_stage);
  record_container_event(*store, "attach", container);
  UniqueFd socket = TRY(launch_monitor(store->paths(), monitor_program, container.id));
  auto session = TRY(Session::open(*interrupt, std::move(socket), streams, tty));
  signals.release();
  return session->start_main(stage);
}

// Its monitor removes it, where there was one.
void Runtime::Impl::remove_failed(const std::string& id) {
  auto lock = store->containers().try_lock(id);
  if (!lock || !*lock) return;
  [[maybe_unused]] auto ignored = store->containers().erase(id);
}

Result<> Runtime::start(std::string_view reference, const StartOptions& options) {
  store::ContainerRecord container = TRY(impl_->find(reference));
  return impl_->start_detached(container.id, options);
}

Result<AttachResult> Runtime::start_attached(std::string_view reference, const StartOptions& options,
                                             const ProcessStreams& streams) {
  store::ContainerRecord container = TRY(impl_->find(reference));
  ContainerSpec spec = TRY(decode_spec(container.wanted));
  HeldSignals signals(streams.forward_signals);
  ProcessStreams wanted = streams;
  wanted.attach_stdin = streams.attach_stdin && spec.open_stdin;
  return impl_->start_attached(container, options, wanted, spec.tty, signals);
}

Result<RunResult> Runtime::run(const ContainerSpec& spec, const RunOptions& options) {
  auto stage = stage_clock(options.start.on_stage);
  HeldSignals signals(options.streams.forward_signals && !options.detach);
  // What would keep it from starting is better known before there is something to remove.
  auto engines = vm::all_engines();
  vm::Selected engine = TRY(vm::select_engine(engines, spec.engine));
  static_cast<void>(TRY(engine.engine->find_kernel(impl_->store->paths().kernels())));
  // Chosen again at the start; but a port that is taken now needs no container to be said.
  if (spec.network != "none") static_cast<void>(TRY(net::choose_host_ports(spec.ports)));
  if (stage) stage("image");
  CreatedContainer created = TRY(create(spec));
  if (stage) stage("upper");
  if (!engine.availability.note.empty()) created.warnings.push_back(engine.availability.note);
  if (options.on_warning)
    for (const auto& warning : created.warnings) options.on_warning(warning);
  if (options.on_created) options.on_created(created.id);
  RunResult result{.id = created.id,
                   .end = {},
                   .engine = std::string(engine.engine->name()),
                   .accelerator = engine.availability.accelerator,
                   .warnings = std::move(created.warnings)};
  StartOptions start{.on_stage = stage ? [&](std::string_view name, std::chrono::microseconds) { stage(name); }
                                       : StageHandler()};
  if (options.detach) {
    auto started = impl_->start_detached(created.id, start);
    if (!started && spec.auto_remove) impl_->remove_failed(created.id);
    TRY(std::move(started));
    return result;
  }
  store::ContainerRecord container = TRY(impl_->find(created.id));
  auto end = impl_->start_attached(container, start, options.streams, spec.tty, signals);
  if (!end && spec.auto_remove) impl_->remove_failed(created.id);
  result.end = TRY(std::move(end));
  if (stage) stage("exited");
  return result;
}

Result<AttachResult> Runtime::attach(std::string_view reference, const ProcessStreams& streams) {
  store::ContainerRecord container = TRY(impl_->find_true(reference));
  ContainerSpec spec = TRY(decode_spec(container.wanted));
  if (container.state == "paused")
    return fail(Errc::invalid_argument, "attach to container \"" + container.name + "\": it is paused",
                "`diatom unpause " + container.name + "` first");
  ProcessStreams wanted = streams;
  wanted.attach_stdin = streams.attach_stdin && spec.open_stdin;
  UniqueFd socket = TRY(impl_->connect(container, "attach to"));
  record_container_event(*impl_->store, "attach", container);
  auto session = TRY(Session::open(*impl_->interrupt, std::move(socket), wanted, spec.tty));
  return session->attach_main();
}

// ---- Other processes.

namespace {

Result<channel::ProcessConfig> exec_process(const ExecSpec& spec, const ProcessStreams& streams) {
  if (spec.argv.empty() || spec.argv.front().empty()) return fail(Errc::invalid_argument, "exec: no program is named");
  channel::ProcessConfig process;
  process.argv = spec.argv;
  process.env = spec.env;
  process.cwd = spec.working_dir;  // empty: the monitor knows the container's
  process.user = spec.user;
  process.tty = spec.tty;
  process.privileged = spec.privileged;
  process.open_stdin = streams.attach_stdin;
  if (auto size = terminal_size(streams.stdin_fd); spec.tty && size) {
    process.rows = size->rows;
    process.cols = size->cols;
  }
  return process;
}

}  // namespace

Result<AttachResult> Runtime::exec(std::string_view reference, const ExecSpec& spec, const ProcessStreams& streams) {
  store::ContainerRecord container = TRY(impl_->find(reference));
  // The monitor says so, too, but as of a program that could not be executed.
  if (container.state == "paused" && TRY(impl_->find_true(container.id)).state == "paused")
    return fail(Errc::invalid_argument, "exec in container \"" + container.name + "\": it is paused",
                "`diatom unpause " + container.name + "` first");
  channel::ProcessConfig process = TRY(exec_process(spec, streams));
  UniqueFd socket = TRY(impl_->connect(container, "exec in"));
  auto session = TRY(Session::open(*impl_->interrupt, std::move(socket), streams, spec.tty));
  return session->exec(make_container_id(), process);
}

Result<> Runtime::exec_detached(std::string_view reference, const ExecSpec& spec) {
  store::ContainerRecord container = TRY(impl_->find(reference));
  channel::ProcessConfig process = TRY(exec_process(spec, {}));
  process.detached = true;
  auto done = impl_->ask(container, "exec in", "PUT", "/v1/processes/" + make_container_id(), encode(process));
  if (done) return {};
  // What the agent says of a program that it could not execute has docker's exit code with it.
  Error error = done.error();
  if (error.exit_code != 0) error.code = Errc::start_failed;
  return std::unexpected(std::move(error));
}

// ---- What there is.

Result<std::vector<ContainerInfo>> Runtime::containers(bool all) {
  std::vector<ContainerInfo> found;
  for (const auto& record : TRY(impl_->store->containers().list()))
    if (all || store::has_owner(record)) found.push_back(info_of(impl_->store->paths(), record));
  return found;
}

Result<ContainerInfo> Runtime::container(std::string_view reference) {
  return info_of(impl_->store->paths(), TRY(impl_->find_true(reference)));
}

int run_exit_code(const Error& error) {
  if (error.code == Errc::cancelled) return 130;
  return error.code == Errc::start_failed && error.exit_code != 0 ? error.exit_code : 125;
}

}  // namespace diatom
