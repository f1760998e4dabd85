#include "runtime/foreground_run.h"

#include <signal.h>

#include <algorithm>

#include "base/clock.h"
#include "base/file.h"
#include "base/platform/platform.h"
#include "net/host_ports.h"
#include "rootfs/upper.h"
#include "runtime/names.h"
#include "runtime/spec_json.h"

namespace diatom {

namespace {

// Somebody who asks for the third time means it: the VM goes, whatever the program makes of its signals.
constexpr int last_interrupt = 3;

// Those of docker's `run`, that is all, but for these: they stop or end a process that cannot help it, or are about
// this process and not about the program.
constexpr int own_signals[] = {SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGSEGV, SIGBUS, SIGFPE,
                               SIGILL,  SIGTRAP, SIGSYS,  SIGABRT, SIGCHLD, SIGPIPE, SIGURG};

Error interrupted(std::string_view what) { return {Errc::cancelled, std::string(what) + ": interrupted", ""}; }

}  // namespace

void ForegroundRun::stage(std::string_view name) {
  auto elapsed = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin_);
  if (options_.on_stage) options_.on_stage(name, elapsed);
}

Result<RunResult> ForegroundRun::run() {
  loop_ = TRY(EventLoop::create());
  if (options_.forward_signals) TRY(pass_signals_on());
  TRY(decide());
  stage("image");
  TRY(create());
  stage("upper");
  auto report = start_and_wait();
  auto finished = finish(report);
  if (!report) return std::unexpected(report.error());
  TRY(finished);
  return RunResult{.id = record_.id,
                   .exit_code = report->code,
                   .signal = report->signal,
                   .oom_killed = report->oom_killed,
                   .engine = record_.engine,
                   .accelerator = record_.accelerator,
                   .warnings = plan_.warnings,
                   .output_error = output_error_};
}

Result<> ForegroundRun::decide() {
  if (!spec_.name.empty()) TRY(check_container_name(spec_.name));
  ResolvedImage image = TRY(images_.resolve(spec_.image));
  engines_ = vm::all_engines();
  engine_ = TRY(vm::select_engine(engines_, spec_.engine));
  vm::GuestKernel kernel = TRY(vm::find_guest_kernel(store_.paths().kernels()));

  record_.id = make_container_id();
  record_.name = spec_.name.empty() ? make_container_name(record_.id) : spec_.name;
  fs::path directory = store_.paths().container(record_.id);
  if (!spec_.read_only) upper_ = directory / "upper.ext4";
  std::vector<PortMapping> ports = TRY(plan_ports(spec_, image.defaults));
  if (spec_.network != "none") ports = TRY(net::choose_host_ports(ports));
  plan_ = TRY(plan_container({.id = record_.id,
                              .spec = spec_,
                              .image = image,
                              .kernel = kernel,
                              .directory = directory,
                              .upper = upper_,
                              .host_cpus = platform::host_info().cpus,
                              .ports = ports,
                              .host_resolv_conf = read_file("/etc/resolv.conf", 64 << 10).value_or("")}));
  plan_.monitor.start_timeout = options_.start_timeout;
  if (auto size = terminal_size(options_.stdin_fd); spec_.tty && size) {
    plan_.monitor.process.rows = size->rows;
    plan_.monitor.process.cols = size->cols;
  }
  if (!engine_.availability.note.empty()) plan_.warnings.push_back(engine_.availability.note);

  record_.image = image.id.substr(image.id.find(':') + 1);
  record_.image_name = spec_.image;
  record_.state = "starting";
  record_.spec = print_spec(spec_, plan_);
  record_.engine = engine_.engine->name();
  record_.accelerator = engine_.availability.accelerator;
  record_.kernel = kernel.version;
  record_.auto_remove = spec_.auto_remove;
  record_.created_ns = wall_clock_ns();
  if (options_.on_warning)
    for (const auto& warning : plan_.warnings) options_.on_warning(warning);
  return {};
}

Result<> ForegroundRun::create() {
  TemporaryPath undo(store_.paths().container(record_.id));
  lock_ = TRY(store_.containers().create_directory(record_.id));
  if (!upper_.empty()) TRY(rootfs::create_upper(store_.paths().templates(), spec_.disk_bytes, upper_));
  TRY(store_.containers().insert(record_));
  undo.keep();
  if (options_.on_created) options_.on_created(record_.id);
  return {};
}

Result<> ForegroundRun::pass_signals_on() {
  for (int signal = 1; signal < NSIG; ++signal) {
    // The C library keeps a few for itself, and refuses them.
    struct sigaction now{};
    if (std::ranges::find(own_signals, signal) != std::end(own_signals)) continue;
    if (::sigaction(signal, nullptr, &now) < 0) continue;
    TRY(loop_->on_signal(signal, [this](int number) { on_signal(number); }));
  }
  return {};
}

void ForegroundRun::on_signal(int signal) {
  if (signal == SIGWINCH && spec_.tty) return resize_terminal();
  bool interrupt = signal == SIGINT || signal == SIGTERM;
  if (ended_) return interrupt ? loop_->stop() : void();
  if (interrupt && ++interrupts_ >= last_interrupt) return monitor_->abort(interrupted("run container"));
  if (monitor_->running() || interrupt || signal == SIGHUP) monitor_->kill(signal);
}

void ForegroundRun::resize_terminal() {
  if (auto size = terminal_size(options_.stdin_fd)) monitor_->resize(size->rows, size->cols);
}

Result<channel::ExitReport> ForegroundRun::start_and_wait() {
  stdio_ = std::make_unique<LocalStdio>(*loop_, LocalStdioOptions{.stdin_fd = options_.stdin_fd,
                                                                  .stdout_fd = options_.stdout_fd,
                                                                  .stderr_fd = options_.stderr_fd,
                                                                  .open_stdin = spec_.open_stdin,
                                                                  .tty = spec_.tty});
  std::optional<Result<channel::ExitReport>> report;
  MonitorHandlers handlers{
      .on_stage = [this](std::string_view name) { stage(name); },
      .on_started =
          [this] {
            record_.state = "running";
            record_.started_ns = wall_clock_ns();
            // A record that cannot be written does not stop a program that runs already; its end is written again.
            [[maybe_unused]] auto ignored = store_.containers().update(record_);
            stdio_->started();
            if (spec_.tty) resize_terminal();  // it may have changed while the guest booted
          },
      .on_output = [this](channel::Output output, std::span<const std::byte> data) { stdio_->output(output, data); },
      .on_output_end = {},
      .on_stdin_writable = [this] { stdio_->stdin_writable(); },
      .on_end =
          [this, &report](Result<channel::ExitReport> end) {
            report = std::move(end);
            ended_ = true;
            stdio_->drain([this] { loop_->stop(); });
          }};
  monitor_ = std::make_unique<Monitor>(*loop_, plan_.monitor, std::move(handlers));
  stdio_->attach(*monitor_);
  if (auto started = monitor_->start(*engine_.engine); !started) return std::unexpected(started.error());
  if (auto ran = loop_->run(); !ran) return std::unexpected(ran.error());
  output_error_ = stdio_->output_error();
  stdio_.reset();  // gives the terminal back
  monitor_.reset();
  return *report;
}

Result<> ForegroundRun::finish(const Result<channel::ExitReport>& report) {
  if (spec_.auto_remove) return store_.containers().erase(record_.id);
  record_.finished_ns = wall_clock_ns();
  if (report) {
    record_.state = "exited";
    record_.exit_code = report->code;
    record_.signal = report->signal;
    record_.oom_killed = report->oom_killed;
  } else {
    record_.state = record_.started_ns != 0 ? "exited" : "failed";
    record_.exit_code = run_exit_code(report.error());
    record_.error = report.error().message;
  }
  return store_.containers().update(record_);
}

}  // namespace diatom
