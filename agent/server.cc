#include "server.h"

#include <signal.h>
#include <sys/wait.h>

#include <charconv>

#include "base/file.h"
#include "boot.h"
#include "mounts.h"
#include "network.h"
#include "spawn.h"

namespace diatom::agent {

namespace {

constexpr size_t largest_body = 16 << 20;
constexpr std::string_view process_prefix = "/v1/processes/";

std::optional<unsigned> number(std::string_view text, unsigned most) {
  unsigned value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

bool was_oom_killed() {
  std::string events = read_file(std::string(container_cgroup) + "/memory.events", 4096).value_or("");
  size_t at = events.find("oom_kill ");
  return at != std::string::npos && events.compare(at + 9, 1, "0") != 0;
}

Result<> make_container(const channel::ContainerConfig& config) {
  NetworkSetup network(config.network);
  TRY(mount_container_root(config));
  return network.finish();
}

}  // namespace

Result<std::unique_ptr<Server>> Server::open(EventLoop& loop, UniqueFd channel) {
  std::unique_ptr<Server> server(new Server(loop));
  Server* self = server.get();
  auto on_request = [self](StreamId stream, const channel::Request& request) { return self->route(stream, request); };
  auto on_lost = [&loop](const Error& error) {
    log(error.message);
    loop.stop();
  };
  server->connection_ =
      TRY(channel::Connection::open(loop, std::move(channel), channel::Connection::Role::server, on_request, on_lost));
  server->channel_ = server->connection_.get();
  return server;
}

Server::Process& Server::process(std::string_view id) {
  auto found = processes_.find(id);
  if (found != processes_.end()) return *found->second;
  return *processes_.emplace(std::string(id), std::make_unique<Process>(loop_, channel_)).first->second;
}

channel::StreamHandlers Server::route(StreamId stream, const channel::Request& request) {
  const std::string& path = request.path;
  if (request.method == "PUT" && path == "/v1/container")
    return with_body(stream, [this, stream](const std::string& body) { set_container_up(stream, body); });
  if (request.method == "POST" && path == "/v1/shutdown")
    return with_body(stream, [this, stream](const std::string&) { shut_down(stream); });
  if (path.starts_with(process_prefix)) {
    std::string_view rest = std::string_view(path).substr(process_prefix.size());
    size_t slash = std::min(rest.find('/'), rest.size());
    return route_process(stream, request.method, rest.substr(0, slash), rest.substr(slash));
  }
  answer(stream, 404);
  return {};
}

channel::StreamHandlers Server::route_process(StreamId stream, const std::string& method, std::string_view id,
                                              std::string_view rest) {
  std::string name(id);
  if (method == "PUT" && rest.empty())
    return with_body(stream, [this, stream, name](const std::string& body) { start_process(stream, name, body); });
  if (method == "GET" && rest == "/stdout") return process(id).io.attach_output(stream, 0);
  if (method == "GET" && rest == "/stderr") return process(id).io.attach_output(stream, 1);
  if (method == "PUT" && rest == "/stdin") return process(id).io.attach_input(stream);
  if (method == "GET" && rest == "/exit") {
    Process& wanted = process(id);
    wanted.exit_stream = stream;
    report_exit(wanted);
    return {};
  }
  constexpr std::string_view kill_prefix = "/kill/";
  constexpr std::string_view resize_prefix = "/resize/";
  if (method == "POST" && rest.starts_with(kill_prefix))
    return with_body(stream, [this, stream, name, signal = std::string(rest.substr(kill_prefix.size()))](
                                 const std::string&) { kill(stream, name, signal); });
  if (method == "POST" && rest.starts_with(resize_prefix))
    return with_body(stream, [this, stream, name, size = std::string(rest.substr(resize_prefix.size()))](
                                 const std::string&) { resize(stream, name, size); });
  answer(stream, 404);
  return {};
}

channel::StreamHandlers Server::with_body(StreamId stream, std::function<void(std::string)> act) {
  auto body = std::make_shared<std::string>();
  return {.on_status = {},
          .on_data =
              [this, stream, body](std::span<const std::byte> data) {
                connection_->consume(stream, data.size());
                if (body->size() + data.size() > largest_body) return connection_->reset(stream);
                body->append(reinterpret_cast<const char*>(data.data()), data.size());
              },
          .on_end = [body, act = std::move(act)] { act(std::move(*body)); },
          .on_writable = {},
          .on_close = {}};
}

void Server::answer(StreamId stream, int status, std::string_view body) {
  connection_->cork();
  connection_->respond(stream, status);
  connection_->send_all(stream, body);
  connection_->finish(stream);
  connection_->uncork();
}

void Server::refuse(StreamId stream, const channel::StartFailure& why) { answer(stream, 500, encode(why)); }

void Server::set_container_up(StreamId stream, const std::string& body) {
  auto config = channel::decode_container_config(body);
  auto ready = config ? make_container(*config) : Result<>(std::unexpected(config.error()));
  if (!ready) return refuse(stream, {125, ready.error().message});
  container_ = std::move(*config);
  answer(stream, 200);
  // At the next turn: the answer is on its way before the loop stands still for the start.
  loop_.after(std::chrono::milliseconds(0), [this] { start_waiting_processes(); });
}

void Server::start_process(StreamId stream, const std::string& id, const std::string& body) {
  Process& wanted = process(id);
  auto config = channel::decode_process_config(body);
  if (!config) return refuse(stream, {125, config.error().message});
  if (wanted.pid >= 0 || wanted.ended || wanted.start_stream != 0)
    return refuse(stream, {125, "start process " + id + ": it was started already"});
  wanted.config = std::move(*config);
  wanted.start_stream = stream;
  start_waiting_processes();
}

void Server::start_waiting_processes() {
  if (!container_) return;
  for (auto& [id, waiting] : processes_)
    if (waiting->config) start(*waiting);
}

void Server::start(Process& process) {
  auto spawned = spawn_first_process(*container_, *process.config);
  process.config.reset();
  connection_->cork();
  if (!spawned) {
    process.ended = true;
    refuse(process.start_stream, spawned.error());
    process.io.not_started();
    process.report.code = spawned.error().exit_code;
    report_exit(process);
  } else {
    process.pid = spawned->pid;
    answer(process.start_stream, 200);
    process.io.started(std::move(*spawned));
  }
  connection_->uncork();
}

void Server::kill(StreamId stream, std::string_view id, std::string_view signal) {
  auto value = number(signal, 64);
  auto found = processes_.find(id);
  if (!value || found == processes_.end()) return refuse(stream, {125, "send signal: no such process or signal"});
  if (found->second->pid > 0) ::kill(found->second->pid, static_cast<int>(*value));
  answer(stream, 200);
}

void Server::resize(StreamId stream, std::string_view id, std::string_view size) {
  size_t slash = std::min(size.find('/'), size.size());
  auto rows = number(size.substr(0, slash), UINT16_MAX);
  auto cols = number(size.substr(std::min(slash + 1, size.size())), UINT16_MAX);
  auto found = processes_.find(id);
  if (!rows || !cols || found == processes_.end()) return refuse(stream, {125, "resize: no such process or size"});
  found->second->io.resize(static_cast<uint16_t>(*rows), static_cast<uint16_t>(*cols));
  answer(stream, 200);
}

void Server::report_exit(Process& process) {
  if (!process.ended || process.exit_stream == 0) return;
  answer(std::exchange(process.exit_stream, 0), 200, encode(process.report));
}

void Server::reap() {
  int status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;)
    for (auto& [id, process] : processes_) {
      if (process->pid != pid) continue;
      process->pid = -1;
      process->ended = true;
      process->report.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
      process->report.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
      process->report.oom_killed = was_oom_killed();
      report_exit(*process);
    }
  if (shutdown_stream_ != 0) finish_shutdown();
}

void Server::shut_down(StreamId stream) {
  shutdown_stream_ = stream;
  for (auto& [id, process] : processes_)
    if (process->pid > 0) ::kill(process->pid, SIGKILL);
  finish_shutdown();
}

void Server::finish_shutdown() {
  for (auto& [id, process] : processes_)
    if (process->pid > 0) return;  // reap() comes back
  StreamId stream = std::exchange(shutdown_stream_, 0);
  if (auto unmounted = unmount_container_root(); !unmounted) return refuse(stream, {125, unmounted.error().message});
  answer(stream, 200);
}

}  // namespace diatom::agent
