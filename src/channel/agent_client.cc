#include "channel/agent_client.h"

#include <utility>

namespace diatom::channel {

namespace {

constexpr size_t max_answer = 64 << 10;

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

Result<std::unique_ptr<AgentClient>> AgentClient::connect(EventLoop& loop, UniqueFd channel,
                                                          std::function<void(Error)> on_lost) {
  std::unique_ptr<AgentClient> client(new AgentClient());
  client->connection_ =
      TRY(Connection::open(loop, std::move(channel), Connection::Role::client, nullptr, std::move(on_lost)));
  return client;
}

AgentClient::Process* AgentClient::find(std::string_view id) {
  auto found = processes_.find(id);
  return found == processes_.end() ? nullptr : found->second.get();
}

void AgentClient::call(Request request, std::string_view body, std::function<void(std::optional<Response>)> done) {
  struct Call {
    Response response;
    bool complete = false;
    std::function<void(std::optional<Response>)> done;
  };
  auto state = std::make_unique<Call>();
  state->done = std::move(done);
  Call* call = state.get();
  auto stream = std::make_shared<StreamId>(0);
  StreamHandlers handlers;
  handlers.on_status = [call](int status) { call->response.status = status; };
  handlers.on_data = [this, call, stream](std::span<const std::byte> data) {
    // More than any answer is long: the rest is thrown away, and decoding will complain.
    if (call->response.body.size() + data.size() <= max_answer)
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
  connection_->uncork();
}

void AgentClient::start_container(const ContainerConfig& config, std::function<void(Result<>)> done) {
  call({"PUT", "/v1/container"}, encode(config), [done = std::move(done)](std::optional<Response> answer) {
    if (!answer) return done(std::unexpected(broken("set container up")));
    if (answer->status != 200) return done(std::unexpected(refusal("set container up", answer->body)));
    done({});
  });
}

void AgentClient::start_process(const std::string& id, const ProcessConfig& config, ProcessHandlers handlers) {
  auto owned = std::make_unique<Process>();
  Process& process = *owned;
  process.handlers = std::move(handlers);
  processes_[id] = std::move(owned);

  connection_->cork();
  call({"PUT", process_path(id)}, encode(config), [&process](std::optional<Response> answer) {
    if (answer && answer->status == 200) {
      process.started = true;
      process.handlers.on_started({});
      return try_exit(process);  // a guest may report the end before the beginning
    }
    StartFailure failure{125, "the guest channel broke"};
    if (answer)
      failure = decode_start_failure(answer->body).value_or(StartFailure{125, "the agent refused without a reason"});
    process.handlers.on_started(std::unexpected(std::move(failure)));
  });
  open_output(process, process_path(id, "/stdout"), Output::stdout_stream);
  if (!config.tty) open_output(process, process_path(id, "/stderr"), Output::stderr_stream);
  if (config.open_stdin) {
    StreamHandlers input;
    input.on_writable = [&process] { process.handlers.on_stdin_writable(); };
    // The program closed its stdin, or ended: what is written from now on goes nowhere.
    input.on_close = [&process](bool) { process.stdin_stream = 0; };
    process.stdin_stream = connection_->request({"PUT", process_path(id, "/stdin")}, std::move(input));
  }
  call({"GET", process_path(id, "/exit")}, "", [&process](std::optional<Response> answer) {
    if (!answer)
      process.exit = std::unexpected(broken("wait for process"));
    else if (answer->status != 200)
      process.exit = std::unexpected(refusal("wait for process", answer->body));
    else if (auto report = decode_exit_report(answer->body))
      process.exit = *report;
    else
      process.exit = fail(Errc::guest, "wait for process: " + report.error().message);
    try_exit(process);
  });
  connection_->uncork();
}

void AgentClient::open_output(Process& process, const std::string& path, Output output) {
  ++process.open_outputs;
  StreamHandlers handlers;
  handlers.on_data = [&process, output](std::span<const std::byte> data) { process.handlers.on_output(output, data); };
  handlers.on_close = [&process, output](bool) {
    process.outputs[static_cast<size_t>(output)] = 0;
    --process.open_outputs;
    if (process.handlers.on_output_end) process.handlers.on_output_end(output);
    try_exit(process);
  };
  StreamId stream = connection_->request({"GET", path}, std::move(handlers));
  process.outputs[static_cast<size_t>(output)] = stream;
  connection_->finish(stream);
}

void AgentClient::try_exit(Process& process) {
  if (!process.exit || process.open_outputs > 0 || !process.started || !process.handlers.on_exit) return;
  auto done = std::exchange(process.handlers.on_exit, nullptr);
  done(std::move(*process.exit));
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
  if (stream > 0) connection_->reset(stream);
}

void AgentClient::kill(std::string_view id, int signal, std::function<void(Result<>)> done) {
  call({"POST", process_path(id, "/kill/" + std::to_string(signal))}, "",
       [done = std::move(done)](std::optional<Response> answer) {
         if (!answer) return done(std::unexpected(broken("send signal")));
         if (answer->status != 200) return done(std::unexpected(refusal("send signal", answer->body)));
         done({});
       });
}

void AgentClient::resize(std::string_view id, uint16_t rows, uint16_t cols) {
  call({"POST", process_path(id, "/resize/" + std::to_string(rows) + "/" + std::to_string(cols))}, "",
       [](std::optional<Response>) {});
}

void AgentClient::shutdown(std::function<void(Result<>)> done) {
  call({"POST", "/v1/shutdown"}, "", [done = std::move(done)](std::optional<Response> answer) {
    if (!answer) return done(std::unexpected(broken("shut guest down")));
    if (answer->status != 200) return done(std::unexpected(refusal("shut guest down", answer->body)));
    done({});
  });
}

}  // namespace diatom::channel
