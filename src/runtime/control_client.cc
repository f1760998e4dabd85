#include "runtime/control_client.h"

#include <utility>

namespace diatom {

namespace {

using channel::Output;
using channel::StreamHandlers;
using channel::StreamId;

constexpr size_t longest_line = 64 << 10;

Error gone() {
  return {Errc::internal, "ask the container's monitor: it has gone", "`diatom ps -a` tells what became of it", 0};
}

}  // namespace

Result<std::unique_ptr<ControlClient>> ControlClient::connect(EventLoop& loop, UniqueFd socket,
                                                              std::function<void(Error)> on_lost) {
  std::unique_ptr<ControlClient> client(new ControlClient());
  client->agent_ = TRY(channel::AgentClient::connect(loop, std::move(socket), std::move(on_lost)));
  return client;
}

void ControlClient::call(const std::string& method, const std::string& path, std::string_view body,
                         std::function<void(Result<std::string>)> done) {
  agent_->forward({method, path}, body, [done = std::move(done)](std::optional<channel::AgentClient::Response> answer) {
    if (!answer) return done(std::unexpected(gone()));
    if (answer->status != 200) return done(std::unexpected(decode_error(answer->body)));
    done(std::move(answer->body));
  });
}

void ControlClient::await_start(std::function<void(StartLine)> on_line) {
  struct State {
    std::string line;
    bool told = false;
    std::function<void(StartLine)> on_line;
  };
  auto state = std::make_shared<State>(State{{}, false, std::move(on_line)});
  auto stream = std::make_shared<StreamId>(0);
  StreamHandlers handlers;
  handlers.on_data = [this, state, stream](std::span<const std::byte> data) {
    connection().consume(*stream, data.size());
    for (std::byte byte : data) {
      if (static_cast<char>(byte) != '\n') {
        if (state->line.size() < longest_line) state->line += static_cast<char>(byte);
        continue;
      }
      auto line = decode_start_line(std::exchange(state->line, {}));
      if (!line || state->told) continue;
      state->told = line->error || line->stage == started_stage;
      state->on_line(std::move(*line));
    }
  };
  handlers.on_close = [state](bool) {
    if (!std::exchange(state->told, true)) state->on_line({.stage = "failed", .error = gone()});
  };
  *stream = connection().request({"GET", "/monitor/start"}, std::move(handlers));
  connection().finish(*stream);
}

void ControlClient::hold(std::function<void(Result<>)> done) {
  struct State {
    int status = 0;
    std::string body;
    std::function<void(Result<>)> done;
    void answer(Result<> result) {
      if (done) std::exchange(done, nullptr)(std::move(result));
    }
  };
  auto state = std::make_shared<State>(State{0, {}, std::move(done)});
  StreamHandlers handlers;
  handlers.on_status = [state](int status) {
    state->status = status;
    if (status == 200) state->answer({});
  };
  handlers.on_data = [this, state](std::span<const std::byte> data) {
    connection().consume(hold_, data.size());
    if (state->body.size() + data.size() <= longest_line)
      state->body.append(reinterpret_cast<const char*>(data.data()), data.size());
  };
  handlers.on_close = [this, state](bool) {
    hold_ = 0;
    state->answer(std::unexpected(state->status == 0 ? gone() : decode_error(state->body)));
    if (on_released_) std::exchange(on_released_, nullptr)();
  };
  hold_ = connection().request({"PUT", "/monitor/hold"}, std::move(handlers));
}

void ControlClient::release(std::function<void()> done) {
  if (hold_ <= 0) return done();
  on_released_ = std::move(done);
  connection().finish(hold_);
}

void ControlClient::await_exit(std::function<void(Result<ExitInfo>)> done) {
  call("GET", "/monitor/exit", "", [done = std::move(done)](Result<std::string> body) {
    if (!body) return done(std::unexpected(body.error()));
    done(decode_exit(*body));
  });
}

void ControlClient::attach(const AttachStreams& streams, AttachHandlers handlers) {
  handlers_ = std::move(handlers);
  connection().cork();
  for (Output output : {Output::stdout_stream, Output::stderr_stream}) {
    bool is_stdout = output == Output::stdout_stream;
    if (!(is_stdout ? streams.out : streams.err)) continue;
    StreamId& stream = outputs_[static_cast<size_t>(output)];
    StreamHandlers of_stream;
    of_stream.on_data = [this, output](std::span<const std::byte> data) { handlers_.on_output(output, data); };
    of_stream.on_close = [this, output](bool clean) {
      auto index = static_cast<size_t>(output);
      outputs_[index] = 0;
      handlers_.on_output_end(output, clean || refused_[index] || connection().lost());
    };
    std::string path = std::string("/monitor/attach/") + (is_stdout ? "stdout" : "stderr");
    stream = connection().request({"GET", path + (streams.whole ? "/whole" : "")}, std::move(of_stream));
    connection().widen(stream);
    connection().finish(stream);
  }
  if (streams.in) {
    StreamHandlers of_stream;
    of_stream.on_writable = [this] { handlers_.on_stdin_writable(); };
    of_stream.on_close = [this](bool) { stdin_ = 0; };
    stdin_ = connection().request({"PUT", "/monitor/attach/stdin"}, std::move(of_stream));
  }
  connection().uncork();
}

size_t ControlClient::write_stdin(std::span<const std::byte> data) {
  return stdin_ > 0 ? connection().send(stdin_, data) : data.size();
}
void ControlClient::close_stdin() {
  if (stdin_ > 0) connection().finish(stdin_);
}
void ControlClient::detach_stdin() {
  if (stdin_ > 0) connection().reset(stdin_);
}
void ControlClient::consumed(Output output, size_t bytes) {
  if (StreamId stream = outputs_[static_cast<size_t>(output)]; stream > 0) connection().consume(stream, bytes);
}
void ControlClient::close_output(Output output) {
  refused_[static_cast<size_t>(output)] = true;
  if (StreamId stream = outputs_[static_cast<size_t>(output)]; stream > 0) connection().reset(stream);
}
void ControlClient::resize(uint16_t rows, uint16_t cols) { agent_->resize("main", rows, cols); }

}  // namespace diatom
