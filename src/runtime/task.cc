#include "runtime/task.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/clock.h"
#include "base/random.h"
#include "base/unix_socket.h"

namespace diatom {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view main_process = "main";
constexpr auto shutdown_deadline = 5s;  // for the guest to write its disk out
constexpr size_t last_console_lines = 5;
constexpr size_t entropy_bytes = 64;  // the key of the kernel's generator has 32

Error start_error(const channel::StartFailure& failure) {
  return {Errc::start_failed, "start container: " + failure.message, "", failure.exit_code};
}

}  // namespace

Task::Task(EventLoop& loop, TaskPlan plan, TaskHandlers handlers)
    : loop_(loop), plan_(std::move(plan)), handlers_(std::move(handlers)) {}

Task::~Task() {
  for (auto timer : timers_) loop_.cancel(timer);
  if (console_) loop_.forget(console_.get());
  if (listener_) loop_.forget(listener_.get());
  if (machine_) loop_.forget(machine_->exit_event());
  if (agent_) agent_->close();
}

Result<> Task::start(vm::Engine& engine) {
  console_log_ = TRY(ConsoleLog::create(plan_.machine.directory / "console.log"));
  machine_ = TRY(engine.boot(plan_.machine));
  // No VM draws what another has drawn; and one that was saved long ago has just been woken up.
  plan_.container.entropy = random_bytes(entropy_bytes);
  if (machine_->restored()) plan_.container.clock_ns = wall_clock_ns();
  stage("vmm");
  watch_console();
  watch_exit();
  TRY(open_channel());
  // So what failed because the channel broke is not worth a word of its own.
  // Everything is said at once: it waits in the channel until the agent is there, and no round trip is lost.
  agent_->cork();
  agent_->start_container(plan_.container, [this](Result<> result) {
    if (!result) return agent_->lost() ? void() : abort(result.error());
    stage("agent");
    if (plan_.has_program) return;
    phase_ = Phase::running;
    handlers_.on_started();
  });
  if (plan_.has_program) start_program();
  agent_->uncork();
  after(plan_.start_timeout, [this] {
    if (phase_ == Phase::booting)
      abort({Errc::timeout, "start container " + plan_.machine.id.substr(0, 12) + ": the guest did not come up in time",
             "`diatom doctor` checks the host; the console is in console.log"});
  });
  return {};
}

Result<> Task::open_channel() {
  vm::Channel channel = machine_->take_channel();
  if (channel.listens) listener_ = std::move(channel.fd);
  agent_ = TRY(channel::AgentClient::connect(loop_, std::move(channel.fd), [this](Error error) {
    // The VM's own end tells more than the channel's; it comes at once when there is one.
    after(2s, [this, error = std::move(error)] { abort(error); });
  }));
  if (listener_) loop_.on_readable(listener_.get(), [this] { accept_agent(); });
  return {};
}

// The first to come is the agent: nothing else runs in the guest yet.
void Task::accept_agent() {
  auto connection = accept_from(listener_);
  if (connection && !*connection) return;  // it went away again
  loop_.forget(listener_.get());
  listener_.reset();
  auto attached = connection ? agent_->attach(std::move(*connection)) : Result<>(std::unexpected(connection.error()));
  if (!attached) abort(attached.error());
}

void Task::start_program() {
  agent_->start_process(std::string(main_process), plan_.process,
                        {.on_started =
                             [this](std::expected<void, channel::StartFailure> result) {
                               if (!result) return agent_->lost() ? void() : abort(start_error(result.error()));
                               phase_ = Phase::running;
                               stage("started");
                               handlers_.on_started();
                             },
                         .on_output = handlers_.on_output,
                         .on_output_end = handlers_.on_output_end,
                         .on_stdin_writable = handlers_.on_stdin_writable,
                         .on_exit = [this](Result<channel::ExitReport> report) { program_ended(std::move(report)); }});
}

void Task::watch_console() {
  console_ = machine_->take_console();
  ::fcntl(console_.get(), F_SETFL, O_NONBLOCK);
  loop_.on_readable(console_.get(), [this] {
    std::array<std::byte, 4096> buffer;
    ssize_t got = ::read(console_.get(), buffer.data(), buffer.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got > 0) return console_log_->append(std::span(buffer).first(static_cast<size_t>(got)));
    loop_.forget(console_.get());
    console_.reset();
  });
}

void Task::watch_exit() {
  loop_.on_readable(machine_->exit_event(), [this] { machine_ended(); });
}

size_t Task::write_stdin(std::span<const std::byte> data) { return agent_->write_stdin(main_process, data); }
void Task::close_stdin() { agent_->close_stdin(main_process); }
void Task::consumed(channel::Output output, size_t bytes) {
  if (agent_) agent_->consumed(main_process, output, bytes);
}
void Task::close_output(channel::Output output) { agent_->close_output(main_process, output); }
void Task::resize(uint16_t rows, uint16_t cols) {
  if (running()) agent_->resize(main_process, rows, cols);
}

void Task::kill(int signal) {
  if (phase_ == Phase::booting) return abort({Errc::cancelled, "start container: interrupted", ""});
  // A signal to a program that has just ended goes nowhere, as with kill(1).
  if (running()) agent_->kill(main_process, signal, [](Result<>) {});
}

void Task::abort(Error error) {
  if (phase_ == Phase::ended) return;
  if (!report_) report_ = std::unexpected(std::move(error));
  machine_->kill();  // machine_ended() follows
}

void Task::program_ended(Result<channel::ExitReport> report) {
  if (phase_ == Phase::ended || report_ || (!report && agent_->lost())) return;
  stage("exited");
  report_ = std::move(report);
  phase_ = Phase::stopping;
  if (!plan_.keep_disk) return machine_->kill();
  agent_->shutdown([this](Result<>) { machine_->kill(); });
  after(shutdown_deadline, [this] {
    if (phase_ == Phase::stopping) machine_->kill();
  });
}

void Task::finish() {
  if (phase_ == Phase::running) program_ended(channel::ExitReport());
}

void Task::machine_ended() {
  loop_.forget(machine_->exit_event());
  std::string words;
  auto reaped = machine_->reap();
  if (reaped)
    words = *reaped;
  else if (!report_)
    report_ = std::unexpected(reaped.error());
  bool was_running = phase_ == Phase::running;
  phase_ = Phase::ended;
  // The console's last words are still in its socket.
  if (console_) {
    std::array<std::byte, 4096> buffer;
    for (ssize_t got; (got = ::read(console_.get(), buffer.data(), buffer.size())) > 0;)
      console_log_->append(std::span(buffer).first(static_cast<size_t>(got)));
  }
  if (!report_) {
    std::string what = was_running ? "run" : "start";
    report_ = fail(was_running ? Errc::guest : Errc::start_failed,
                   what + " container " + plan_.machine.id.substr(0, 12) + ": its VM ended unexpectedly");
  }
  // A program that could not be started is no trouble of the VM's: its console has nothing to say about it.
  if (!*report_ && report_->error().code != Errc::cancelled && report_->error().exit_code == 0)
    *report_ = std::unexpected(with_last_words(report_->error(), words));
  handlers_.on_end(*report_);
}

Error Task::with_last_words(Error error, const std::string& vmm_words) const {
  if (!vmm_words.empty()) error.message += ": " + vmm_words;
  std::string lines = console_log_->tail(last_console_lines);
  if (!lines.empty()) error.hint += (error.hint.empty() ? "" : "\n  ") + ("the guest's console ended with:\n" + lines);
  return error;
}

void Task::after(std::chrono::milliseconds delay, EventLoop::Handler handler) {
  timers_.push_back(loop_.after(delay, std::move(handler)));
}

void Task::stage(std::string_view name) {
  if (handlers_.on_stage) handlers_.on_stage(name);
}

}  // namespace diatom
