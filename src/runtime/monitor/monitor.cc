#include "runtime/monitor/monitor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <tuple>
#include <utility>

#include "base/clock.h"
#include "image/resolve.h"
#include "net/host_ports.h"
#include "runtime/container_events.h"
#include "runtime/create.h"
#include "runtime/gpu_lock.h"
#include "runtime/guest_preparation.h"
#include "runtime/spec_record.h"
#include "runtime/stages.h"

namespace diatom {

namespace {

using namespace std::chrono_literals;

// Where a power cut must not lose what the guest has written, the container's record must not be lost either.
Result<> sync_container(const store::Paths& paths, const std::string& id) {
  fs::path folder = paths.container(id);
  if (auto upper = open_file(folder / "upper.ext4", O_RDONLY)) TRY(sync_fd(upper->get()));
  TRY(sync_directory(folder));
  return sync_directory(paths.containers());
}

}  // namespace

Result<std::unique_ptr<Monitor>> Monitor::open(store::Paths paths, const std::string& id, EventLoop& loop) {
  std::unique_ptr<Monitor> monitor(new Monitor(loop));
  monitor->store_ = TRY(store::Store::open(std::move(paths)));
  store::ContainerStore& containers = monitor->store_->containers();
  // What is not there must not be made by locking it.
  static_cast<void>(TRY(containers.find(id)));
  monitor->lock_ = TRY(containers.own(id));
  monitor->record_ = TRY(containers.find(id));
  monitor->spec_ = TRY(decode_spec(monitor->record_.wanted));
  monitor->restart_.set_policy(monitor->spec_.restart);
  return monitor;
}

Monitor::~Monitor() {
  if (cancel_preparation_) cancel_preparation_->cancel();
  if (preparation_.joinable()) preparation_.join();
  if (timer_) loop_.cancel(*timer_);
  server_.reset();  // its clients' streams refer to all of us
}

Result<int> Monitor::run(UniqueFd& starter) {
  const store::Paths& paths = store_->paths();
  fs::path log = paths.container(record_.id) / "container.log";
  LogOptions kept{.max_bytes = spec_.log.max_bytes, .max_files = spec_.log.max_files};
  log_ = TRY(LogWriter::open(log, kept));
  attachments_ = std::make_unique<Attachments>(*log_, log, kept,
                                               Attachments::Handlers{.consume =
                                                                         [this](channel::Output output, size_t bytes) {
                                                                           if (task_) task_->consumed(output, bytes);
                                                                         },
                                                                     .refuse =
                                                                         [this](channel::Output output) {
                                                                           if (has_program())
                                                                             task_->close_output(output);
                                                                         },
                                                                     .on_caught_up =
                                                                         [this] {
                                                                           if (phase_ == Phase::done) leave_when_idle();
                                                                         }});
  server_ = std::make_unique<ControlServer>(
      loop_,
      [this](channel::Connection& client, StreamId stream, const channel::Request& request) {
        return route(client, stream, request);
      },
      [this] {
        if (phase_ == Phase::done) leave_when_idle();
        if (!begun_ && server_->is_alone()) loop_.stop();  // its starter has gone before it wanted anything
      });
  TRY(server_->listen(paths.control_socket(record_.id)));
  for (int number : {SIGTERM, SIGINT, SIGHUP})
    TRY(loop_.on_signal(number, [this](int) {
      host_stops_ = true;
      stop({});
    }));
  record_.restarts = 0;
  record_.stopped = false;
  if (starter)
    TRY(server_->adopt(std::move(starter)));
  else
    begin_run_soon();
  TRY(loop_.run());
  return exit_code_;
}

// ---- One run.

// At the next turn: what else the starter asks for is there first.
void Monitor::begin_run_soon() {
  if (!std::exchange(begun_, true)) loop_.post([this] { begin_run(); });
}

void Monitor::begin_run() {
  timer_.reset();
  phase_ = Phase::starting;
  bool unwanted = stop_requested_ && !restart_requested_;  // stopped before it has begun
  stop_requested_ = restart_requested_ = false;
  attachments_->begin_run();
  kill_due_ = {};
  if (unwanted) {
    stop_requested_ = true;
    record_.started_ns = 0;  // that run's end is this one's
    return ended(fail(Errc::cancelled, "start " + shown() + ": it was stopped meanwhile"));
  }
  run_began_ = std::chrono::steady_clock::now();
  stages_.clear();
  reached("begin");
  auto planned = plan_run();
  auto prepare = planned ? engine_->preparation(plan_.task.machine) : nullptr;
  if (!prepare) return run_or_fail(planned);
  // Before rather than beside it: it costs what a boot costs, and is followed by none.
  const CancelToken& cancel = cancel_preparation_.emplace();
  preparation_ = std::jthread([this, prepare = std::move(prepare), &cancel] {
    [[maybe_unused]] auto ignored = prepare(cancel);  // without it, this one boots
    loop_.post([this] {
      preparation_.join();
      reached("template");
      tell_starters({.stage = "template", .error = {}});
      Result<> wanted;
      if (stop_requested_) wanted = fail(Errc::cancelled, "start " + shown() + ": it was stopped meanwhile");
      run_or_fail(wanted);
    });
  });
}

void Monitor::run_or_fail(const Result<>& planned) {
  auto runs = planned ? run_planned() : planned;
  if (runs) return;
  task_.reset();  // before it tells of an end of its own
  ended(std::unexpected(runs.error()));
}

Result<> Monitor::plan_run() {
  record_.state = "starting";
  record_.started_ns = record_.finished_ns = 0;
  record_.exit_code = record_.signal = 0;
  record_.oom_killed = false;
  record_.error.clear();
  ResolvedImage image = TRY(image::resolve_image(*store_, "sha256:" + record_.image));
  engines_ = vm::all_engines();
  vm::Selected engine = TRY(vm::select_engine(engines_, spec_.engine));
  vm::GuestKernel kernel = TRY(engine.engine->find_kernel(store_->paths().kernels()));
  engine_ = engine.engine;
  fs::path directory = store_->paths().container(record_.id);
  std::vector<PortMapping> ports = TRY(plan_ports(spec_, image.defaults));
  if (spec_.network != "none") ports = TRY(net::choose_host_ports(ports));
  plan_ = TRY(plan_container({.id = record_.id,
                              .spec = spec_,
                              .image = image,
                              .kernel = kernel,
                              .directory = directory,
                              .templates = store_->paths().templates(),
                              .channel_socket = store_->paths().agent_socket(record_.id),
                              .upper = spec_.read_only ? fs::path() : directory / "upper.ext4",
                              .format_upper = upper_formatter(*store_, spec_.disk_bytes),
                              .max_vcpus = engine.availability.max_vcpus,
                              .ports = ports,
                              .host_resolv_conf = read_file("/etc/resolv.conf", 64 << 10).value_or("")}));
  plan_.task.machine.preparation = prepare_guest(plan_.task.container, image);
  TRY(plan_going_on());
  if (size_) std::tie(plan_.task.process.rows, plan_.task.process.cols) = *size_;
  if (const auto& network = plan_.task.container.network) record_.address = network->address;
  if (plan_.task.machine.host_sockets) record_.address = "127.0.0.1";
  if (!record_.address.empty()) record_.ports = encode_ports(ports);
  stop_signal_ = plan_.stop_signal;
  record_.engine = engine.engine->name();
  record_.accelerator = engine.availability.accelerator;
  record_.kernel = kernel.version;
  record_.start_kind.clear();
  // Before there is anything to be stopped: whoever wants to must see that there is somebody to ask. (What reaches the
  // disk is written below, with the VMM's pid.)
  save();
  return {};
}

Result<> Monitor::run_planned() {
  TaskHandlers handlers{.on_stage =
                            [this](std::string_view name) {
                              reached(name);
                              if (name != started_stage) tell_starters({.stage = std::string(name), .error = {}});
                            },
                        .on_started = [this] { started(); },
                        .on_output = [this](channel::Output output,
                                            std::span<const std::byte> data) { attachments_->output(output, data); },
                        .on_output_end = {},
                        .on_stdin_writable = [this] { offer_input(); },
                        .on_end = [this](Result<channel::ExitReport> report) { ended(std::move(report)); }};
  plan_.task.machine.held_lock = lock_->fd();
  UniqueFd gpu_lock;  // the VM's process has it from then on, and nobody else
  if (plan_.task.machine.gpu) gpu_lock = TRY(lock_gpu("container \"" + record_.name + "\""));
  plan_.task.machine.gpu_lock = gpu_lock.get();
  task_ = std::make_unique<Task>(loop_, plan_.task, std::move(handlers));
  TRY(task_->start(*engine_));
  record_.pid = task_->pid();
  offer_input();
  // While the guest boots, or is restored: it has not written anything yet. The folder first: no record without one.
  // What cannot be recorded must not run: nobody would know that it does.
  // One that goes with its end has nothing that a power cut could lose; and blocks that the host's file system has not
  // given out yet cost nothing to be given back (each piece takes ext4 2 ms where it discards at once).
  if (!spec_.auto_remove) TRY(sync_container(store_->paths(), record_.id));
  return write_record(true);
}

void Monitor::started() {
  ever_ran_ = true;
  record_.started_ns = wall_clock_ns();
  record_.pid = task_->pid();  // that of a restore which failed was another's
  record_.start_kind = !plan_.task.machine.saved.empty() ? "copied" : task_->restored() ? "warm" : "cold";
  forget_saved();
  phase_ = Phase::running;
  record_.state = "running";
  save(true);  // who is told that it runs is told the truth after a power cut, too: that it did
  emit("start");
  start_health();
  tell_starters({.stage = std::string(started_stage), .error = {}});
  if (!restart_askers_.empty()) emit("restart");
  tell(restart_askers_, 200, "");
  if (late_limits_) task_->agent().set_limits(*std::exchange(late_limits_, std::nullopt), [](const Result<>&) {});
  // Who wanted it stopped while it came up.
  if (stop_requested_) stop({});
}

void Monitor::start_health() {
  if (!plan_.health) return;
  health_ = std::make_unique<HealthChecker>(loop_, task_->agent(), *plan_.health, plan_.task.process,
                                            [this](const HealthState& state, bool changed) {
                                              record_.health = encode_health(state);
                                              save();
                                              if (changed && state.status != "starting")
                                                emit("health_status: " + state.status);
                                            });
  health_->start();
}

void Monitor::ended(Result<channel::ExitReport> report) {
  bool was_up = phase_ != Phase::starting;
  end_saving();
  health_.reset();
  execs_.clear();
  tools_.clear();
  holders_.clear();
  if (timer_) loop_.cancel(*std::exchange(timer_, std::nullopt));
  attachments_->end(channel::Output::stdout_stream);
  attachments_->end(channel::Output::stderr_stream);
  for (auto& input : std::exchange(inputs_, {}))
    if (!input->from->closed) input->from->connection->reset(input->from->stream);
  record_end(report);
  if (record_.oom_killed) emit("oom");
  if (was_up) emit("die", {{"exitCode", std::to_string(record_.exit_code)}});
  if (!report) start_error_ = report.error();

  std::optional<std::chrono::milliseconds> delay;
  // The first start's failure is its starter's to deal with.
  if (restart_requested_)
    delay = 0ms;
  else if (ever_ran_)
    delay = restart_.after({.exit_code = record_.exit_code,
                            .by_request = stop_requested_,
                            .lasted = std::chrono::steady_clock::now() - run_began_});
  phase_ = Phase::between;
  // The task is still in the middle of telling.
  loop_.post([this, delay] { next(delay); });
}

void Monitor::record_end(const Result<channel::ExitReport>& report) {
  reached("ended");
  record_.finished_ns = wall_clock_ns();
  record_.pid = 0;
  record_.address.clear();
  record_.ports = "{}";
  record_.health = "{}";
  if (report) {
    record_.exit_code = report->code;
    record_.signal = report->signal;
    record_.oom_killed = report->oom_killed;
  } else if (record_.started_ns != 0) {  // it ran, and its VM went: as if the program had been killed
    record_.exit_code = 128 + SIGKILL;
    record_.signal = SIGKILL;
    record_.error = report.error().message;
  } else {
    record_.exit_code = run_exit_code(report.error());
    record_.error = report.error().message;
  }
  exit_code_ = record_.exit_code;
}

void Monitor::next(std::optional<std::chrono::milliseconds> delay) {
  task_.reset();
  // Somebody may have stopped it for good between the two turns, or want it to run again.
  if (restart_requested_) delay = 0ms;
  if (!delay || (stop_requested_ && !restart_requested_)) return finish();
  if (!restart_requested_) ++record_.restarts;
  record_.state = "restarting";
  save(true);
  if (start_error_ && !restart_requested_) tell(restart_askers_, 500, encode_error(*start_error_));
  tell_of_failed_start();
  std::string exit = encode_exit({record_.exit_code, record_.signal, record_.oom_killed, record_.error});
  tell(exit_askers_, 200, exit);
  tell(stop_askers_, 200, exit);  // it did stop; that somebody else starts it again is another matter
  timer_ = loop_.after(*delay, [this] { begin_run(); });
}

// By a clock that nobody sets, from the run's begin on: a stage is never before the one that came first.
void Monitor::reached(std::string_view stage) {
  auto since = std::chrono::steady_clock::now() - run_began_;
  int64_t begin_ns = stages_.empty() ? wall_clock_ns() : stages_.front().time_ns;
  stages_.push_back({std::string(stage), begin_ns + std::chrono::nanoseconds(since).count()});
  record_.stages = encode_stages(stages_);
}

// ---- Its end.

void Monitor::finish() {
  phase_ = Phase::done;
  bool failed = !record_.error.empty() && record_.started_ns == 0 && !ever_ran_;
  record_.state = failed ? "failed" : "exited";
  record_.stopped = stop_requested_ && !host_stops_;
  if (!stop_askers_.empty() && ever_ran_) emit("stop");
  if (spec_.auto_remove) {
    attachments_->hold_log();
    emit("destroy");
    if (auto erased = store_->containers().erase(record_.id); !erased) save(true);
  } else {
    save(true);
  }
  // From here on it is anybody's: who is told that it has ended can start or remove it at once.
  server_->stop_listening();
  lock_.reset();
  tell_of_failed_start();
  std::string exit = encode_exit({record_.exit_code, record_.signal, record_.oom_killed, record_.error});
  tell(exit_askers_, 200, exit);
  tell(stop_askers_, 200, exit);
  std::string why = record_.error.empty() ? "it was stopped meanwhile" : record_.error;
  tell(restart_askers_, 500, encode_error({Errc::start_failed, "restart " + shown() + ": " + why, "", 0}));
  // Who only watches for the end of the connection hears of the end now, even if somebody's slow reading keeps us here.
  loop_.post([this] { server_->release_unused(); });
  leave_when_idle();
}

// Not before it has been recorded: whoever hears of it may do anything next.
void Monitor::tell_of_failed_start() {
  if (auto error = std::exchange(start_error_, std::nullopt)) tell_starters({.stage = "failed", .error = *error});
}

void Monitor::leave_when_idle() {
  if (!attachments_->drained()) return;  // a client that reads slowly: again when it has gone, or has caught up
  server_->when_idle([this] {
    if (attachments_->drained()) loop_.stop();
  });
}

void Monitor::set_state(std::string_view state) {
  record_.state = state;
  save();
}

// A record that cannot be written (a full disk) ends nothing that runs; the end is written again.
void Monitor::save(bool on_disk) { [[maybe_unused]] auto ignored = write_record(on_disk); }

Result<> Monitor::write_record(bool on_disk) {
  auto& containers = store_->containers();
  auto written = on_disk ? containers.update_on_disk(record_) : containers.update(record_);
  // Whoever waits for a change watches the lock.
  if (lock_) ::futimens(lock_->fd(), nullptr);
  return written;
}

void Monitor::emit(std::string_view action, std::map<std::string, std::string> attributes) {
  // It may have been renamed since.
  auto now = store_->containers().find(record_.id);
  record_container_event(*store_, action, now ? *now : record_, std::move(attributes));
}

}  // namespace diatom
