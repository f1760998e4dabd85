#include "runtime/session.h"

#include <signal.h>

#include <algorithm>
#include <utility>

namespace diatom {

namespace {

using channel::Output;

// Somebody who asks for the third time means it: it goes, whatever the program makes of its signals.
constexpr int last_interrupt = 3;

// Those of docker's `run`, that is all, but for these: they stop or end a process that cannot help it, or are about
// this process and not about the program.
constexpr int own_signals[] = {SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGSEGV, SIGBUS, SIGFPE,
                               SIGILL,  SIGTRAP, SIGSYS,  SIGABRT, SIGCHLD, SIGPIPE, SIGURG};

// A process that was exec'ed, by way of the monitor.
class ExecPeer final : public ProcessPeer {
 public:
  ExecPeer(channel::AgentClient& agent, std::string id) : agent_(agent), id_(std::move(id)) {}
  size_t write_stdin(std::span<const std::byte> data) override { return agent_.write_stdin(id_, data); }
  void close_stdin() override { agent_.close_stdin(id_); }
  void consumed(Output output, size_t bytes) override { agent_.consumed(id_, output, bytes); }
  void close_output(Output output) override { agent_.close_output(id_, output); }
  void resize(uint16_t rows, uint16_t cols) override { agent_.resize(id_, rows, cols); }

 private:
  channel::AgentClient& agent_;
  std::string id_;
};

}  // namespace

HeldSignals::HeldSignals(bool hold) : held_(hold), before_() {
  if (!hold) return;
  sigset_t ending;
  sigemptyset(&ending);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&ending, signal);
  ::pthread_sigmask(SIG_BLOCK, &ending, &before_);
}

void HeldSignals::release() {
  if (std::exchange(held_, false)) ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

Result<std::unique_ptr<Session>> Session::open(const Interrupt& interrupt, UniqueFd socket,
                                               const ProcessStreams& streams, bool tty) {
  std::unique_ptr<Session> session(new Session());
  Session* self = session.get();
  session->streams_ = streams;
  session->tty_ = tty;
  session->waiter_ = TRY(Waiter<AttachResult>::create(interrupt));
  EventLoop& loop = session->waiter_->loop();
  session->client_ = TRY(ControlClient::connect(loop, std::move(socket), [self](const Error& error) {
    if (!self->exit_) self->finish(std::unexpected(error));
  }));
  session->stdio_ = std::make_unique<LocalStdio>(
      loop, LocalStdioOptions{.stdin_fd = streams.stdin_fd,
                              .stdout_fd = streams.stdout_fd,
                              .stderr_fd = streams.stderr_fd,
                              .open_stdin = streams.attach_stdin,
                              .tty = tty,
                              .detach_keys = tty ? TRY(parse_detach_keys(streams.detach_keys)) : "",
                              .on_detach = [self] { self->leave(); }});
  if (streams.forward_signals) TRY(session->pass_signals_on());
  return session;
}

Result<> Session::pass_signals_on() {
  for (int signal = 1; signal < NSIG; ++signal) {
    // The C library keeps a few for itself, and refuses them.
    struct sigaction now{};
    if (std::ranges::find(own_signals, signal) != std::end(own_signals)) continue;
    if (::sigaction(signal, nullptr, &now) < 0 || now.sa_handler == SIG_IGN) continue;  // nohup's wish, too
    TRY(waiter_->loop().on_signal(signal, [this](int number) { on_signal(number); }));
  }
  return {};
}

void Session::on_signal(int signal) {
  if (signal == SIGWINCH && tty_) return resize();
  bool interrupt = signal == SIGINT || signal == SIGTERM;
  if (ended_) return interrupt ? waiter_->loop().stop() : void();  // only output that nobody reads is still to come
  auto ignore = [](Result<std::string>) {};
  if (interrupt && ++interrupts_ >= last_interrupt) given_up_ = true;
  if (!exec_id_.empty() && given_up_) return waiter_->loop().stop();
  if (!exec_id_.empty()) return client_->agent().kill(exec_id_, signal, [](Result<>) {});
  if (given_up_) {
    return client_->call("POST", "/monitor/stop",
                         encode_stop({.signal = SIGKILL, .timeout = std::chrono::milliseconds(0)}), ignore);
  }
  if (running_ || interrupt || signal == SIGHUP)
    client_->call("POST", "/monitor/kill/" + std::to_string(signal), "", ignore);
}

void Session::resize() {
  if (auto size = terminal_size(streams_.stdin_fd); size && running_)
    (exec_peer_ ? *exec_peer_ : *client_).resize(size->rows, size->cols);
}

void Session::started() {
  running_ = true;
  stdio_->started();
  if (tty_) resize();  // it may have changed while the guest booted
}

void Session::join_main(bool whole) {
  stdio_->attach(*client_);
  bool err = streams_.attach_stderr && !tty_;
  open_outputs_ = (streams_.attach_stdout ? 1 : 0) + (err ? 1 : 0);
  client_->attach(
      {.in = streams_.attach_stdin, .out = streams_.attach_stdout, .err = err, .whole = whole},
      {.on_output = [this](Output output, std::span<const std::byte> data) { stdio_->output(output, data); },
       .on_output_end = [this](Output output, bool all) { output_ended(output, all); },
       .on_stdin_writable = [this] { stdio_->stdin_writable(); }});
  client_->await_exit([this](Result<ExitInfo> exit) { finish(std::move(exit)); });
}

Result<AttachResult> Session::start_main(std::function<void(std::string_view)> on_stage) {
  client_->agent().cork();
  if (auto size = terminal_size(streams_.stdin_fd); tty_ && size) client_->resize(size->rows, size->cols);
  client_->await_start([this, on_stage = std::move(on_stage)](const StartLine& line) {
    if (line.error) return finish(std::unexpected(*line.error));
    if (on_stage) on_stage(line.stage);
    if (line.stage == started_stage) started();
  });
  join_main(true);
  client_->agent().uncork();
  return wait();
}

Result<AttachResult> Session::attach_main() {
  join_main(false);
  started();
  return wait();
}

Result<AttachResult> Session::exec(const std::string& id, const channel::ProcessConfig& process) {
  exec_id_ = id;
  exec_peer_ = std::make_unique<ExecPeer>(client_->agent(), id);
  stdio_->attach(*exec_peer_);
  client_->agent().start_process(
      id, process,
      {.on_started =
           [this](std::expected<void, channel::StartFailure> result) {
             if (result) return started();
             finish(std::unexpected(Error{Errc::start_failed, result.error().message, "", result.error().exit_code}));
           },
       .on_output = [this](Output output, std::span<const std::byte> data) { stdio_->output(output, data); },
       .on_output_end = {},
       .on_stdin_writable = [this] { stdio_->stdin_writable(); },
       .on_exit =
           [this](Result<channel::ExitReport> report) {
             if (!report) return finish(std::unexpected(report.error()));
             finish(ExitInfo{report->code, report->signal, report->oom_killed, {}});
           }});
  return wait();
}

void Session::output_ended(Output output, bool whole) {
  --open_outputs_;
  if (!whole)
    output_lost_ = std::string("read ") + (output == Output::stdout_stream ? "stdout" : "stderr") +
                   ": too slow for its log, which has been rotated";
  if (exit_) finish(std::move(*exit_));
}

// The end comes when everything that was printed before it is written out.
void Session::finish(Result<ExitInfo> exit) {
  if (ended_) return;
  exit_ = std::move(exit);
  if (*exit_ && open_outputs_ > 0) return;
  ended_ = true;
  stdio_->drain([this] { waiter_->loop().stop(); });
}

void Session::leave() {
  ended_ = true;
  exit_.reset();
  if (exec_id_.empty()) client_->detach_stdin();
  stdio_->drain([this] { waiter_->loop().stop(); });
}

Result<AttachResult> Session::wait() {
  if (!ended_ || !stdio_->drained()) {
    TRY(waiter_->loop().run());
    if (waiter_->is_done()) TRY(waiter_->wait());  // interrupted
  }
  AttachResult result{.exit = {}, .output_error = stdio_->output_error()};
  if (result.output_error.empty()) result.output_error = output_lost_;
  stdio_.reset();  // gives the terminal back
  if (given_up_) return fail(Errc::cancelled, "run container: interrupted");
  if (!exit_) return result;
  result.exit = TRY(std::move(*exit_));
  return result;
}

}  // namespace diatom
