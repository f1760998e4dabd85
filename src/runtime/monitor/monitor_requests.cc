// What clients ask of a monitor. Everything below /v1/ that is not answered here goes on to the guest's agent.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "channel/body.h"
#include "channel/relay.h"
#include "runtime/monitor/monitor.h"
#include "runtime/signals.h"

namespace diatom {

namespace {

using namespace std::chrono_literals;
using channel::Connection;
using channel::StreamHandlers;
using channel::StreamId;

constexpr size_t largest_exec = 16 << 20;
constexpr size_t largest_told_command = 4096;
constexpr auto default_stop_timeout = 10s;
constexpr auto after_kill = 10s;  // for the guest to end what was killed
constexpr std::string_view kill_prefix = "/monitor/kill/";
constexpr std::string_view whole_suffix = "/whole";  // nothing may be lost to a slow reader
constexpr std::string_view attach_prefix = "/monitor/attach/";
constexpr std::string_view resize_prefix = "/v1/processes/main/resize/";
constexpr std::string_view process_prefix = "/v1/processes/";

}  // namespace

StreamHandlers Monitor::route(Connection& client, StreamId stream, const channel::Request& request) {
  if (request.path.starts_with("/monitor/")) return route_own(client, stream, request);
  if (!has_program() && phase_ != Phase::stopping) {
    if (request.path.starts_with(resize_prefix)) return set_size(asker_of(client, stream), request.path);
    refuse(asker_of(client, stream), not_running("ask"));
    return {};
  }
  if (request.path.starts_with(process_prefix)) return route_process(client, stream, request);
  return channel::relay(client, stream, request, task_->agent().connection());
}

StreamHandlers Monitor::route_own(Connection& client, StreamId stream, const channel::Request& request) {
  Asker asker = asker_of(client, stream);
  const std::string& path = request.path;
  if (path == "/monitor/start") {
    client.respond(stream, 200);
    begin_run_soon();
    return wait_in(starters_, std::move(asker));
  }
  // Nobody is told of the end twice: who asks now has come between it and our leaving.
  if (phase_ == Phase::done && (path == "/monitor/exit" || path == "/monitor/stop")) {
    answer(asker, 200, encode_exit({record_.exit_code, record_.signal, record_.oom_killed, record_.error}));
    return {};
  }
  if (phase_ == Phase::done && (path == "/monitor/restart" || path.starts_with(attach_prefix))) {
    refuse(asker, not_running(path == "/monitor/restart" ? "restart" : "attach to"));
    return {};
  }
  if (path == "/monitor/exit") return wait_in(exit_askers_, std::move(asker));
  if (path == "/monitor/stop" || path == "/monitor/restart") {
    bool again = path == "/monitor/restart";
    StreamHandlers waiting = wait_in(again ? restart_askers_ : stop_askers_, asker);
    StreamHandlers handlers = with_body(asker, [this, asker, again](const std::string& text) {
      auto wanted = decode_stop(text);
      if (!wanted) return refuse(asker, wanted.error());
      restart_requested_ = again;
      stop(*wanted);
    });
    handlers.on_close = std::move(waiting.on_close);
    return handlers;
  }
  if (path == "/monitor/pause") return with_body(asker, [this, asker](const std::string&) { freeze(asker, true); });
  if (path == "/monitor/resume") return with_body(asker, [this, asker](const std::string&) { freeze(asker, false); });
  if (path == "/monitor/hold") return hold(asker);
  if (path == "/monitor/save")
    return with_body(asker, [this, asker](const std::string& text) { save_vm(asker, text); });
  if (path == "/monitor/limits")
    return with_body(asker, [this, asker](const std::string& text) { update(asker, text); });
  if (path.starts_with(kill_prefix))
    return with_body(
        asker, [this, asker, signal = path.substr(kill_prefix.size())](const std::string&) { kill(asker, signal); });
  if (path.starts_with(attach_prefix)) {
    std::string_view what = std::string_view(path).substr(attach_prefix.size());
    bool whole = what.ends_with(whole_suffix);
    if (whole) what.remove_suffix(whole_suffix.size());
    if (what == "stdin") return attach_input(asker);
    if (what == "stdout") return attachments_->add(client, stream, channel::Output::stdout_stream, whole);
    if (what == "stderr") return attachments_->add(client, stream, channel::Output::stderr_stream, whole);
  }
  channel::answer(client, stream, 404);
  return {};
}

// Of a terminal that is yet to be made.
StreamHandlers Monitor::set_size(const Asker& asker, const std::string& path) {
  std::string_view text = std::string_view(path).substr(resize_prefix.size());
  size_t slash = std::min(text.find('/'), text.size());
  uint16_t rows = 0;
  uint16_t cols = 0;
  auto read = [](std::string_view word, uint16_t& out) {
    return std::from_chars(word.data(), word.data() + word.size(), out).ec == std::errc();
  };
  bool good = read(text.substr(0, slash), rows) && slash < text.size() && read(text.substr(slash + 1), cols);
  if (good) size_ = {rows, cols};
  good ? answer(asker, 200) : refuse(asker, {Errc::invalid_argument, "resize " + shown() + ": that is no size", "", 0});
  return {};
}

Monitor::Asker Monitor::asker_of(Connection& client, StreamId stream) {
  return std::make_shared<Waiting>(Waiting{&client, stream, false});
}

StreamHandlers Monitor::wait_in(std::vector<Asker>& list, Asker asker) {
  list.push_back(asker);
  StreamHandlers handlers;
  handlers.on_close = [&list, asker](bool) {
    asker->closed = true;
    std::erase(list, asker);
  };
  return handlers;
}

StreamHandlers Monitor::with_body(const Asker& asker, std::function<void(std::string)> act, size_t most_bytes) {
  StreamHandlers handlers = channel::with_body(*asker->connection, asker->stream, most_bytes, std::move(act));
  handlers.on_close = [asker](bool) { asker->closed = true; };
  return handlers;
}

// Answering may close streams, which takes them off the list.
void Monitor::tell(std::vector<Asker>& list, int status, const std::string& body) {
  for (const Asker& asker : std::exchange(list, {})) answer(asker, status, body);
}

void Monitor::tell_starters(const StartLine& line) {
  std::string text = encode_start_line(line);
  bool last = line.error || line.stage == started_stage;
  std::vector<Asker> all = starters_;
  if (last) starters_.clear();
  for (const Asker& asker : all) {
    if (asker->closed) continue;
    asker->connection->send_all(asker->stream, text);
    if (last) asker->connection->finish(asker->stream);
  }
}

void Monitor::answer(const Asker& asker, int status, std::string_view body) {
  if (!asker->closed) channel::answer(*asker->connection, asker->stream, status, body);
}

void Monitor::refuse(const Asker& asker, const Error& error) { answer(asker, 500, encode_error(error)); }

void Monitor::pass_on(const Asker& asker, const std::optional<channel::AgentClient::Response>& response) {
  if (response) return answer(asker, response->status, response->body);
  if (!asker->closed) asker->connection->reset(asker->stream);
}

Error Monitor::not_running(std::string_view what) const {
  return {Errc::invalid_argument, fmt::format("{} {}: it is not running ({})", what, shown(), record_.state), "", 0};
}

// ---- The first process's streams.

StreamHandlers Monitor::attach_input(const Asker& asker) {
  auto input = std::make_shared<Input>(Input{.from = asker, .held = {}, .ended = false});
  inputs_.push_back(input);
  asker->connection->respond(asker->stream, 200);
  return {.on_status = {},
          .on_data =
              [this, input](std::span<const std::byte> data) {
                input->held.append(reinterpret_cast<const char*>(data.data()), data.size());
                offer_input();
              },
          .on_end =
              [this, input] {
                input->ended = true;
                offer_input();
              },
          .on_writable = {},
          .on_close =
              [this, input](bool) {
                input->from->closed = true;
                // A terminal waits for the next who comes.
                if (!spec_.tty) input->ended = true;
                offer_input();
              }};
}

void Monitor::offer_input() {
  if (!task_ || !task_->takes_input()) return;
  for (const auto& input : std::vector(inputs_)) {
    size_t taken = input->held.empty() ? 0 : task_->write_stdin(std::as_bytes(std::span(input->held)));
    input->held.erase(0, taken);
    if (taken > 0 && !input->from->closed) input->from->connection->consume(input->from->stream, taken);
    if (input->held.empty() && (input->ended || input->from->closed)) input_over(input);
  }
}

void Monitor::input_over(const std::shared_ptr<Input>& input) {
  if (std::erase(inputs_, input) == 0) return;
  if (input->ended && spec_.stdin_once) task_->close_stdin();
  if (!input->from->closed) input->from->connection->finish(input->from->stream);
}

// ---- Other processes.

StreamHandlers Monitor::route_process(Connection& client, StreamId stream, const channel::Request& request) {
  std::string_view rest = std::string_view(request.path).substr(process_prefix.size());
  size_t slash = std::min(rest.find('/'), rest.size());
  std::string id(rest.substr(0, slash));
  rest.remove_prefix(slash);
  if (request.method == "PUT" && rest.empty()) return start_exec(asker_of(client, stream), id);
  if (request.method == "GET" && rest == "/exit") return report_exec(asker_of(client, stream), request, id);
  return channel::relay(client, stream, request, task_->agent().connection(), tools_.contains(id));
}

StreamHandlers Monitor::start_exec(const Asker& asker, const std::string& id) {
  return with_body(
      asker,
      [this, asker, id](const std::string& body) {
        if (!has_program()) return refuse(asker, not_running("exec in"));
        auto process = channel::decode_process_config(body);
        if (!process) return refuse(asker, process.error());
        std::string path = std::string(process_prefix) + id;
        if (!process->tool.empty()) {  // no program of the container's, whatever that is doing
          tools_.insert(id);
          return task_->agent().forward({"PUT", path}, body,
                                        [asker](const auto& response) { pass_on(asker, response); });
        }
        if (phase_ == Phase::paused)
          return refuse(
              asker, {Errc::invalid_argument, "exec in " + shown() + ": it is paused", "`diatom unpause` it first", 0});
        std::string command;
        for (const auto& word : process->argv) command += (command.empty() ? "" : " ") + word;
        command.resize(std::min(command.size(), largest_told_command));
        complete_exec(*process, plan_.task.process);
        emit("exec_create: " + command, {{"execID", id}});
        emit("exec_start: " + command, {{"execID", id}});
        task_->agent().forward({"PUT", path}, encode(*process), [this, asker, id](const auto& response) {
          if (response && response->status == 200) execs_.insert(id);
          pass_on(asker, response);
        });
        // Its end is an event even if no client waits for it.
        task_->agent().forward({"GET", path + "/exit"}, "",
                               [this, id](const auto& response) { exec_ended(id, response); });
      },
      largest_exec);
}

StreamHandlers Monitor::report_exec(const Asker& asker, const channel::Request& request, const std::string& id) {
  task_->agent().forward(request, "", [this, asker, id](const auto& response) {
    tools_.erase(id);
    exec_ended(id, response);
    pass_on(asker, response);
  });
  StreamHandlers handlers;
  handlers.on_close = [asker](bool) { asker->closed = true; };
  return handlers;
}

// By whichever answer comes first.
void Monitor::exec_ended(const std::string& id, const std::optional<channel::AgentClient::Response>& response) {
  if (execs_.erase(id) == 0 || !response || response->status != 200) return;
  if (auto report = channel::decode_exit_report(response->body))
    emit("exec_die", {{"execID", id}, {"exitCode", std::to_string(report->code)}});
}

// ---- Its life, as others want it.

void Monitor::stop(const StopRequest& request) {
  stop_requested_ = true;
  int signal = request.signal != 0 ? request.signal : stop_signal_;
  auto timeout =
      request.timeout ? *request.timeout : std::chrono::milliseconds(spec_.stop_timeout.value_or(default_stop_timeout));
  switch (phase_) {
    case Phase::done:
      return;
    case Phase::between:  // of two runs: the timer, or what is posted, goes on from here
      if (!timer_) return;
      loop_.cancel(*std::exchange(timer_, std::nullopt));
      return restart_requested_ ? begin_run() : finish();
    case Phase::starting:
      if (cancel_preparation_) cancel_preparation_->cancel();
      if (task_) task_->abort({Errc::cancelled, "start " + shown() + ": it was stopped meanwhile", "", 0});
      return;
    case Phase::running:
    case Phase::paused:
    case Phase::stopping:
      break;
  }
  auto due = std::chrono::steady_clock::now() + timeout;
  if (phase_ == Phase::stopping && due >= kill_due_) {  // the first who asks is not made to wait longer by the second
    if (timeout > 0ms) task_->kill(signal);
    return;
  }
  kill_due_ = due;
  bool frozen = phase_ == Phase::paused;
  phase_ = Phase::stopping;
  set_state("stopping");
  attachments_->let_run();
  if (timer_) loop_.cancel(*timer_);
  if (timeout > 0ms) {
    emit("kill", {{"signal", std::to_string(signal)}});
    task_->kill(signal);
  }
  if (frozen) task_->agent().thaw([](Result<>) {});
  timer_ = loop_.after(timeout, [this] { kill_for_good(); });
}

void Monitor::kill_for_good() {
  kill_due_ = {};
  emit("kill", {{"signal", std::to_string(SIGKILL)}});
  task_->kill(SIGKILL);
  timer_ = loop_.after(after_kill, [this] {
    timer_.reset();
    task_->abort({Errc::guest, "stop " + shown() + ": the guest did not end its program when it was killed", "", 0});
  });
}

void Monitor::kill(const Asker& asker, std::string_view text) {
  auto signal = parse_signal(text);
  if (!signal) return refuse(asker, signal.error());
  bool ends = *signal == SIGKILL || *signal == stop_signal_;
  bool wants_end = ends || *signal == SIGTERM || *signal == SIGINT || *signal == SIGHUP;
  if (wants_end && (phase_ == Phase::between || (phase_ == Phase::starting && !task_))) {  // before it has begun
    stop_requested_ = true;
    if (timer_ || phase_ == Phase::starting) stop({});
    return answer(asker, 200);
  }
  if (phase_ == Phase::starting && task_ && wants_end) {
    stop_requested_ = true;
    task_->abort({Errc::cancelled, "start " + shown() + ": interrupted", "", 0});
    return answer(asker, 200);
  }
  if (!has_program() && phase_ != Phase::stopping) return refuse(asker, not_running("kill"));
  if (ends) stop_requested_ = true;  // docker's: who ends it by hand does not want it back
  emit("kill", {{"signal", std::to_string(*signal)}});
  task_->agent().kill("main", *signal,
                      [asker](Result<> done) { done ? answer(asker, 200) : refuse(asker, done.error()); });
}

// Paused until whoever asked says that it is enough, or has gone, however that comes about. One that is paused already
// stays so.
StreamHandlers Monitor::hold(const Asker& asker) {
  StreamHandlers handlers;
  handlers.on_end = [this, asker] { let_go(asker); };
  handlers.on_close = [this, asker](bool) {
    asker->closed = true;
    let_go(asker);
  };
  if (phase_ == Phase::paused) {
    if (!holders_.empty()) holders_.push_back(asker);
    asker->connection->respond(asker->stream, 200);
    return handlers;
  }
  holders_.push_back(asker);
  freeze_for(asker, true, [this, asker] {
    if (asker->closed) return resume_unless_held(asker);
    asker->connection->respond(asker->stream, 200);
  });
  return handlers;
}

void Monitor::let_go(const Asker& asker) {
  bool was_holder = std::erase(holders_, asker) > 0;
  if (was_holder) return resume_unless_held(asker);
  if (!asker->closed) asker->connection->finish(asker->stream);
}

void Monitor::resume_unless_held(const Asker& asker) {
  auto done = [asker] {
    if (!asker->closed) asker->connection->finish(asker->stream);
  };
  if (!holders_.empty() || phase_ != Phase::paused) return done();
  freeze_for(asker, false, done);
}

void Monitor::freeze(const Asker& asker, bool frozen) {
  if (!frozen) holders_.clear();  // somebody wants it to run
  freeze_for(asker, frozen, [asker] { answer(asker, 200); });
}

void Monitor::freeze_for(const Asker& asker, bool frozen, std::function<void()> on_done) {
  const char* verb = frozen ? "pause" : "unpause";
  if (phase_ != (frozen ? Phase::running : Phase::paused)) {
    Error wrong{Errc::invalid_argument, fmt::format("{} {}: it is {}", verb, shown(), frozen ? "paused" : "not paused"),
                "", 0};
    return refuse(asker, has_program() ? wrong : not_running(verb));
  }
  auto done = [this, asker, frozen, on_done = std::move(on_done)](Result<> result) {
    if (!result) return refuse(asker, result.error());
    if (has_program()) {
      phase_ = frozen ? Phase::paused : Phase::running;
      set_state(frozen ? "paused" : "running");
      if (health_) health_->pause(frozen);
      emit(frozen ? "pause" : "unpause");
    } else if (frozen && phase_ == Phase::stopping) {
      task_->agent().thaw([](Result<>) {});  // what stops it has come meanwhile, and is to be heard
    }
    on_done();
  };
  frozen ? task_->agent().freeze(done) : task_->agent().thaw(done);
}

// The record has been changed already: this is about what runs.
void Monitor::update(const Asker& asker, const std::string& body) {
  auto wanted = decode_update(body);
  if (!wanted) return refuse(asker, wanted.error());
  if (wanted->restart) {
    spec_.restart = *wanted->restart;
    restart_.set_policy(spec_.restart);
  }
  apply_update(spec_, *wanted);
  if (phase_ == Phase::starting) late_limits_ = plan_limits(spec_limits(spec_));
  channel::Limits limits = plan_limits(*wanted);
  if (!has_program() || limits == channel::Limits()) return answer(asker, 200);
  // When the guest has gone meanwhile, the next one has them.
  task_->agent().set_limits(limits, [this, asker](Result<> done) {
    done || task_->agent().lost() ? answer(asker, 200) : refuse(asker, done.error());
  });
}

}  // namespace diatom
