#include "channel/agent_client.h"

#include <utility>

namespace diatom::channel {

namespace {

constexpr size_t longest_stats = 64 << 10;
constexpr size_t longest_process_list = 1 << 20;
constexpr std::string_view first_process = "main";

std::string process_path(std::string_view id, std::string_view rest = "") {
  return "/v1/processes/" + std::string(id) + std::string(rest);
}

// What the agent says of a request that it refused.
Error refusal(std::string_view what, const std::string& body) {
  auto failure = decode_start_failure(body);
  return {Errc::guest, std::string(what) + ": " + (failure ? failure->message : "the agent refused without a reason"),
          ""};
}

Error broken(std::string_view what) {
  return {Errc::guest, std::string(what) + ": the guest channel broke", "the console is in console.log"};
}

}  // namespace

std::string resize_path(std::string_view id, uint16_t rows, uint16_t cols) {
  return process_path(id, "/resize/" + std::to_string(rows) + "/" + std::to_string(cols));
}

Result<std::unique_ptr<AgentClient>> AgentClient::connect(EventLoop& loop, UniqueFd channel,
                                                          std::function<void(Error)> on_lost) {
  std::unique_ptr<AgentClient> client(new AgentClient());
  client->connection_ =
      TRY(Connection::open(loop, std::move(channel), Connection::Role::client, nullptr, std::move(on_lost)));
  return client;
}

Result<> AgentClient::attach(UniqueFd channel) { return connection_->attach(std::move(channel)); }

AgentClient::Process* AgentClient::find(std::string_view id) {
  auto found = processes_.find(id);
  return found == processes_.end() ? nullptr : found->second.get();
}

StreamId AgentClient::call(Request request, std::string_view body, Answer done, size_t most_bytes) {
  struct Call {
    Response response;
    bool complete = false;
    Answer done;
  };
  auto state = std::make_unique<Call>();
  state->done = std::move(done);
  Call* call = state.get();
  auto stream = std::make_shared<StreamId>(0);
  StreamHandlers handlers;
  handlers.on_status = [call](int status) { call->response.status = status; };
  handlers.on_data = [this, call, stream, most_bytes](std::span<const std::byte> data) {
    // More than any answer is long: the rest is thrown away, and decoding will complain.
    if (call->response.body.size() + data.size() <= most_bytes)
      call->response.body.append(reinterpret_cast<const char*>(data.data()), data.size());
    connection_->consume(*stream, data.size());
  };
  handlers.on_end = [call] { call->complete = true; };
  // The stream owns the call: std::function must be copyable, so the owner is shared.
  handlers.on_close = [owner = std::shared_ptr<Call>(std::move(state))](bool) {
    auto answer = owner->complete ? std::optional(std::move(owner->response)) : std::nullopt;
    if (owner->done) std::exchange(owner->done, nullptr)(std::move(answer));
  };
  connection_->cork();
  *stream = connection_->request(request, std::move(handlers));
  connection_->send_all(*stream, body);
  connection_->finish(*stream);
  StreamId id = *stream;
  connection_->uncork();
  return id;
}

AgentClient::Answer AgentClient::plain(std::string what, std::function<void(Result<>)> done) {
  return [what = std::move(what), done = std::move(done)](const std::optional<Response>& answer) {
    if (!answer) return done(std::unexpected(broken(what)));
    if (answer->status != 200) return done(std::unexpected(refusal(what, answer->body)));
    done({});
  };
}

template <class Message>
void AgentClient::get(const char* path, const char* what, size_t most_bytes,
                      Result<Message> (*decode)(std::string_view), std::function<void(Result<Message>)> done) {
  call(
      {"GET", path}, "",
      [what, decode, done = std::move(done)](const std::optional<Response>& answer) {
        if (!answer) return done(std::unexpected(broken(what)));
        if (answer->status != 200) return done(std::unexpected(refusal(what, answer->body)));
        auto message = decode(answer->body);
        if (!message) return done(fail(Errc::guest, std::string(what) + ": " + message.error().message));
        done(std::move(*message));
      },
      most_bytes);
}

void AgentClient::prepare(const Preparation& preparation, std::function<void(Result<>)> done) {
  call({"PUT", "/v1/preparation"}, encode(preparation), plain("prepare a container", std::move(done)));
}

void AgentClient::start_container(const ContainerConfig& config, std::function<void(Result<>)> done) {
  call({"PUT", "/v1/container"}, encode(config), plain("set container up", std::move(done)));
}

std::shared_ptr<AgentClient::Process> AgentClient::make_process(const std::string& id, const ProcessConfig& config,
                                                                ProcessHandlers handlers) {
  auto process = std::make_shared<Process>();
  process->handlers = std::move(handlers);
  process->wide = id == first_process || !config.tool.empty();
  processes_[id] = process;
  return process;
}

void AgentClient::start_process(const std::string& id, const ProcessConfig& config, ProcessHandlers handlers) {
  auto process = make_process(id, config, std::move(handlers));
  connection_->cork();
  call({"PUT", process_path(id)}, encode(config), [this, id, process](const std::optional<Response>& answer) {
    if (!answer || answer->status != 200) return start_failed(id, *process, answer);
    process->started = true;
    process->handlers.on_started({});
    try_exit(id, *process);  // a guest may report the end before the beginning
  });
  open_streams(process, id, config);
  connection_->uncork();
}

void AgentClient::adopt_process(const std::string& id, const ProcessConfig& config, ProcessHandlers handlers) {
  auto process = make_process(id, config, std::move(handlers));
  process->started = true;
  connection_->cork();
  open_streams(process, id, config);
  connection_->uncork();
}

void AgentClient::open_streams(const std::shared_ptr<Process>& process, const std::string& id,
                               const ProcessConfig& config) {
  if (!config.detached) {
    open_output(process, id, Output::stdout_stream);
    if (!config.tty) open_output(process, id, Output::stderr_stream);
  }
  if (config.open_stdin) open_input(process, id);
  call({"GET", process_path(id, "/exit")}, "", [this, id, process](const std::optional<Response>& answer) {
    if (!answer)
      process->exit = std::unexpected(broken("wait for process"));
    else if (answer->status != 200)
      process->exit = std::unexpected(refusal("wait for process", answer->body));
    else if (auto report = decode_exit_report(answer->body))
      process->exit = *report;
    else
      process->exit = fail(Errc::guest, "wait for process: " + report.error().message);
    try_exit(id, *process);
  });
}

void AgentClient::start_failed(const std::string& id, Process& process, const std::optional<Response>& answer) {
  StartFailure failure{125, "the guest channel broke"};
  if (answer)
    failure = decode_start_failure(answer->body).value_or(StartFailure{125, "the agent refused without a reason"});
  forget(id, process);
  for (StreamId stream : process.outputs)
    if (stream > 0) connection_->reset(stream);  // a guest may leave them open
  process.handlers.on_started(std::unexpected(std::move(failure)));
}

void AgentClient::open_output(const std::shared_ptr<Process>& process, const std::string& id, Output output) {
  ++process->open_outputs;
  StreamHandlers handlers;
  handlers.on_data = [process, output](std::span<const std::byte> data) { process->handlers.on_output(output, data); };
  handlers.on_close = [this, id, process, output](bool) {
    process->outputs[static_cast<size_t>(output)] = 0;
    --process->open_outputs;
    if (process->handlers.on_output_end) process->handlers.on_output_end(output);
    try_exit(id, *process);
  };
  std::string_view name = output == Output::stdout_stream ? "/stdout" : "/stderr";
  StreamId stream = connection_->request({"GET", process_path(id, name)}, std::move(handlers));
  if (stream <= 0) return;
  process->outputs[static_cast<size_t>(output)] = stream;
  if (process->wide) connection_->widen(stream);
  connection_->finish(stream);
}

void AgentClient::open_input(const std::shared_ptr<Process>& process, const std::string& id) {
  StreamHandlers handlers;
  handlers.on_writable = [process] {
    if (process->handlers.on_stdin_writable) process->handlers.on_stdin_writable();
  };
  // The program closed its stdin, or ended: what is written from now on goes nowhere.
  handlers.on_close = [process](bool) { process->stdin_stream = 0; };
  process->stdin_stream = connection_->request({"PUT", process_path(id, "/stdin")}, std::move(handlers));
  if (process->wide) connection_->widen(process->stdin_stream);
}

void AgentClient::try_exit(const std::string& id, Process& process) {
  if (!process.exit || process.open_outputs > 0 || !process.started || !process.handlers.on_exit) return;
  auto done = std::exchange(process.handlers.on_exit, nullptr);
  forget(id, process);
  done(std::move(*process.exit));
}

// Its id may be another's by now.
void AgentClient::forget(const std::string& id, Process& process) {
  if (process.stdin_stream > 0) connection_->finish(process.stdin_stream);
  auto found = processes_.find(id);
  if (found != processes_.end() && found->second.get() == &process) processes_.erase(found);
}

size_t AgentClient::write_stdin(std::string_view id, std::span<const std::byte> data) {
  Process* process = find(id);
  if (process == nullptr || process->stdin_stream <= 0) return data.size();
  return connection_->send(process->stdin_stream, data);
}

void AgentClient::close_stdin(std::string_view id) {
  Process* process = find(id);
  if (process != nullptr && process->stdin_stream > 0) connection_->finish(process->stdin_stream);
}

void AgentClient::consumed(std::string_view id, Output output, size_t bytes) {
  Process* process = find(id);
  if (process == nullptr) return;
  StreamId stream = process->outputs[static_cast<size_t>(output)];
  if (stream > 0) connection_->consume(stream, bytes);
}

void AgentClient::close_output(std::string_view id, Output output) {
  Process* process = find(id);
  if (process == nullptr) return;
  StreamId stream = process->outputs[static_cast<size_t>(output)];
  if (stream <= 0) return;
  connection_->cork();
  std::string_view name = output == Output::stdout_stream ? "/close/stdout" : "/close/stderr";
  call({"POST", process_path(id, name)}, "", [](const std::optional<Response>&) {});
  connection_->reset(stream);
  connection_->uncork();
}

void AgentClient::kill(std::string_view id, int signal, std::function<void(Result<>)> done) {
  call({"POST", process_path(id, "/kill/" + std::to_string(signal))}, "", plain("send signal", std::move(done)));
}

void AgentClient::resize(std::string_view id, uint16_t rows, uint16_t cols) {
  call({"POST", resize_path(id, rows, cols)}, "", [](const std::optional<Response>&) {});
}

void AgentClient::read_clock(std::function<void(Result<ClockReading>)> done) {
  get("/v1/clock", "read the guest's clock", longest_stats, decode_clock_reading, std::move(done));
}

void AgentClient::stats(std::function<void(Result<Stats>)> done) {
  get("/v1/stats", "measure container", longest_stats, decode_stats, std::move(done));
}

void AgentClient::list_processes(std::function<void(Result<ProcessList>)> done) {
  get("/v1/processes", "list processes", longest_process_list, decode_process_list, std::move(done));
}

void AgentClient::freeze(std::function<void(Result<>)> done) {
  call({"POST", "/v1/freeze"}, "", plain("pause container", std::move(done)));
}

void AgentClient::thaw(std::function<void(Result<>)> done) {
  call({"POST", "/v1/thaw"}, "", plain("resume container", std::move(done)));
}

void AgentClient::set_limits(const Limits& limits, std::function<void(Result<>)> done) {
  call({"PUT", "/v1/limits"}, encode(limits), plain("set limits", std::move(done)));
}

void AgentClient::quiesce(std::function<void(Result<>)> done) {
  connection_->cork();
  connection_->hold_after(call({"POST", "/v1/quiesce"}, "", plain("bring the channel to rest", std::move(done))));
  connection_->uncork();
}

void AgentClient::go_on() {
  connection_->go_on();
  call({"POST", "/v1/go-on"}, "", nullptr);
}

void AgentClient::set_identity(const Identity& identity, std::function<void(Result<>)> done) {
  call({"PUT", "/v1/identity"}, encode(identity), plain("set identity", std::move(done)));
}

void AgentClient::shutdown(std::function<void(Result<>)> done) {
  call({"POST", "/v1/shutdown"}, "", plain("shut guest down", std::move(done)));
}

}  // namespace diatom::channel
