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
constexpr auto restore_deadline = 10s;
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
  if (machine_ && machine_->restore_event() >= 0) loop_.forget(machine_->restore_event());
  stop_listening();
  if (agent_) agent_->close();
}

Result<> Task::start(vm::Engine& engine) {
  engine_ = &engine;
  console_log_ = TRY(ConsoleLog::create(plan_.machine.directory / "console.log"));
  TRY(boot());
  after(plan_.start_timeout, [this] {
    if (phase_ == Phase::booting)
      abort({Errc::timeout, "start container " + plan_.machine.id.substr(0, 12) + ": the guest did not come up in time",
             "`diatom doctor` checks the host; the console is in console.log"});
  });
  return {};
}

Result<> Task::boot() {
  machine_ = TRY(engine_->boot(plan_.machine));
  watch_console();
  watch_exit();
  restoring_ = machine_->restore_event() >= 0;
  if (!restoring_) return begin();
  loop_.on_readable(machine_->restore_event(), [this] { go_on_restoring(); });
  after(restore_deadline, [this] {
    if (restoring_ && !report_) boot_instead({Errc::timeout, "restore VM: it takes too long", ""});
  });
  return {};
}

void Task::go_on_restoring() {
  int event = machine_->restore_event();
  loop_.forget(event);
  if (report_) return;  // it was given up; machine_ended() follows
  auto runs = machine_->go_on();
  if (runs && !*runs) return loop_.on_readable(event, [this] { go_on_restoring(); });
  if (!runs) return boot_instead(runs.error());
  restoring_ = false;
  if (auto begun = begin(); !begun) abort(begun.error());
}

// What is wrong with a template must not keep a container from its start.
void Task::boot_instead(const Error& why) {
  if (int event = machine_->restore_event(); event >= 0) loop_.forget(event);
  loop_.forget(machine_->exit_event());
  if (console_) loop_.forget(console_.get());
  console_.reset();
  machine_.reset();
  restoring_ = false;
  if (why.code == Errc::guest) report_ = std::unexpected(ended_unexpectedly(false));
  // A port: it is taken for one that boots, too. And what was saved while it ran cannot be booted.
  if (why.code == Errc::already_exists || (!plan_.machine.saved.empty() && !report_)) report_ = std::unexpected(why);
  plan_.machine.templates.clear();
  // At the next turn: descriptors get numbers again of which this one may still have something to tell.
  after(0ms, [this] {
    auto booted = report_ ? Result<>() : boot();
    if (!booted) abort(booted.error());
    if (!machine_) end();
  });
}

// The VM runs, or boots.
Result<> Task::begin() {
  stage("vmm");
  plan_.container.entropy = random_bytes(entropy_bytes);  // no VM draws what another has drawn
  TRY(open_channel());
  resume_listening();
  machine_->restored() ? set_clock() : start_container();
  return {};
}

// One that was saved has just been woken up, and does not know for how long it has slept.
void Task::set_clock() {
  ask_clock([this](Result<int64_t> offset_ns) {
    if (!offset_ns) return abort(offset_ns.error());
    plan_.container.clock_offset_ns = *offset_ns;
    stage("clock");
    plan_.machine.saved.empty() ? start_container() : resume_container();
  });
}

void Task::ask_clock(std::function<void(Result<int64_t>)> done) { ask_clock_again(GuestClock(), std::move(done)); }

void Task::ask_clock_again(GuestClock clock, std::function<void(Result<int64_t>)> done) {
  auto asked = std::chrono::steady_clock::now();
  agent_->read_clock([this, asked, clock, done = std::move(done)](Result<channel::ClockReading> reading) mutable {
    if (phase_ == Phase::ended || report_ || (!reading && agent_->lost())) return;
    if (!reading) return done(std::unexpected(reading.error()));
    clock.add(reading->monotonic_ns, wall_clock_ns(), std::chrono::steady_clock::now() - asked);
    if (!clock.is_known()) return ask_clock_again(clock, std::move(done));
    done(clock.offset_ns());
  });
}

// Everything is said at once: it waits in the channel until the agent is there, and no round trip is lost.
void Task::start_container() {
  agent_->cork();
  agent_->start_container(plan_.container, [this](Result<> result) {
    // What failed because the channel broke is not worth a word of its own.
    if (!result) return agent_->lost() ? void() : abort(result.error());
    stage("agent");
    if (plan_.has_program) return;
    phase_ = Phase::running;
    handlers_.on_started();
  });
  if (plan_.has_program) start_program();
  agent_->uncork();
  takes_input_ = true;
  if (handlers_.on_stdin_writable) handlers_.on_stdin_writable();
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
  ::unlink(plan_.machine.channel_socket.c_str());
  auto attached = connection ? agent_->attach(std::move(*connection)) : Result<>(std::unexpected(connection.error()));
  if (!attached) abort(attached.error());
}

void Task::start_program() { agent_->start_process(std::string(main_process), plan_.process, program_handlers()); }

channel::ProcessHandlers Task::program_handlers() {
  return {.on_started =
              [this](std::expected<void, channel::StartFailure> result) {
                if (!result) return agent_->lost() ? void() : abort(start_error(result.error()));
                phase_ = Phase::running;
                stage("started");
                handlers_.on_started();
              },
          .on_output = handlers_.on_output,
          .on_output_end = handlers_.on_output_end,
          .on_stdin_writable = handlers_.on_stdin_writable,
          .on_exit = [this](Result<channel::ExitReport> report) { program_ended(std::move(report)); }};
}

// Its program runs already, and is told apart from the one that it was copied from before anybody hears from it.
void Task::resume_container() {
  channel::Identity identity{.clock_offset_ns = plan_.container.clock_offset_ns,
                             .entropy = plan_.container.entropy,
                             .hostname = plan_.container.hostname,
                             .mac = plan_.container.network ? plan_.container.network->mac : ""};
  agent_->set_identity(identity, [this](Result<> result) {
    if (!result) return agent_->lost() ? void() : abort(result.error());
    stage("agent");
    phase_ = Phase::running;
    stage("started");
    handlers_.on_started();
    agent_->adopt_process(std::string(main_process), plan_.process, program_handlers());
    takes_input_ = true;
    if (handlers_.on_stdin_writable) handlers_.on_stdin_writable();
  });
}

Result<std::function<Result<>(const vm::SaveTarget&)>> Task::begin_saving() {
  auto save = TRY(machine_->saving());
  stop_listening();
  return save;
}

void Task::resume_listening() {
  if (listening_ || !machine_ || machine_->talk_event() < 0) return;
  listening_ = true;
  loop_.on_readable(machine_->talk_event(), [this] {
    if (!machine_->listen()) stop_listening();
  });
}

void Task::stop_listening() {
  if (std::exchange(listening_, false)) loop_.forget(machine_->talk_event());
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
  if (machine_) machine_->kill();  // machine_ended() follows
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
  if (restoring_ && !report_) return go_on_restoring();
  if (int event = machine_->restore_event(); event >= 0) loop_.forget(event);
  stop_listening();
  loop_.forget(machine_->exit_event());
  std::string words;
  auto reaped = machine_->reap();
  if (reaped)
    words = *reaped;
  else if (!report_)
    report_ = std::unexpected(reaped.error());
  bool was_running = phase_ == Phase::running;
  // The console's last words are still in its socket.
  if (console_) {
    std::array<std::byte, 4096> buffer;
    for (ssize_t got; (got = ::read(console_.get(), buffer.data(), buffer.size())) > 0;)
      console_log_->append(std::span(buffer).first(static_cast<size_t>(got)));
  }
  if (!report_) {
    report_ = std::unexpected(ended_unexpectedly(was_running));
  }
  // A program that could not be started is no trouble of the VM's: its console has nothing to say about it.
  if (!*report_ && report_->error().code != Errc::cancelled && report_->error().exit_code == 0)
    *report_ = std::unexpected(with_last_words(report_->error(), words));
  end();
}

void Task::end() {
  phase_ = Phase::ended;
  handlers_.on_end(*report_);
}

Error Task::ended_unexpectedly(bool was_running) const {
  return {was_running ? Errc::guest : Errc::start_failed,
          std::string(was_running ? "run" : "start") + " container " + plan_.machine.id.substr(0, 12) +
              ": its VM ended unexpectedly",
          ""};
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
