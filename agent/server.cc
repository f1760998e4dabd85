#include "server.h"

#include "answers.h"
#include "boot.h"
#include "identity.h"
#include "measure.h"
#include "mounts.h"
#include "network.h"

namespace diatom::agent {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view process_prefix = "/v1/processes/";
// For killed processes to go. One that is stuck in the kernel does not.
constexpr auto kill_deadline = 3s;

Result<> make_container(const channel::ContainerConfig& config) {
  TRY(take_identity(config.clock_offset_ns, config.entropy));
  NetworkSetup network(config.network);
  TRY(mount_container_root(config));
  return network.finish();
}

}  // namespace

Result<std::unique_ptr<Server>> Server::create(EventLoop& loop) {
  std::unique_ptr<Server> server(new Server(loop));
  Server* self = server.get();
  auto on_request = [self](StreamId stream, const channel::Request& request) { return self->route(stream, request); };
  auto on_lost = [&loop](const Error& error) {
    log(error.message);
    loop.stop();
  };
  server->connection_ =
      TRY(channel::Connection::open(loop, UniqueFd(), channel::Connection::Role::server, on_request, on_lost));
  server->channel_ = server->connection_.get();
  return server;
}

channel::StreamHandlers Server::route(StreamId stream, const channel::Request& request) {
  const std::string& path = request.path;
  std::string what = request.method + " " + path;
  auto act = [&](auto action) {
    return with_body(*connection_, stream,
                     [this, stream, action](const std::string& body) { action(*this, stream, body); });
  };
  using Body = const std::string&;
  if (what == "PUT /v1/container")
    return act([](Server& it, StreamId id, Body body) { it.set_container_up(id, body); });
  if (what == "PUT /v1/preparation") return act([](Server& it, StreamId id, Body body) { it.prepare(id, body); });
  if (what == "PUT /v1/limits") return act([](Server& it, StreamId id, Body body) { it.set_limits(id, body); });
  if (what == "GET /v1/clock") return act([](Server& it, StreamId id, Body) { it.read_clock(id); });
  if (what == "GET /v1/stats") return act([](Server& it, StreamId id, Body) { it.measure(id); });
  if (what == "GET /v1/processes") return act([](Server& it, StreamId id, Body) { it.list_processes(id); });
  if (what == "POST /v1/freeze") return act([](Server& it, StreamId id, Body) { it.freeze(id, true); });
  if (what == "POST /v1/thaw") return act([](Server& it, StreamId id, Body) { it.freeze(id, false); });
  if (what == "POST /v1/quiesce") return act([](Server& it, StreamId id, Body) { it.quiesce(id); });
  if (what == "POST /v1/go-on") {
    connection_->go_on();
    answer(*connection_, stream, 200);
    return {};
  }
  if (what == "PUT /v1/identity") return act([](Server& it, StreamId id, Body body) { it.set_identity(id, body); });
  if (what == "POST /v1/shutdown") return act([](Server& it, StreamId id, Body) { it.shut_down(id); });
  if (path.starts_with(process_prefix)) {
    std::string_view rest = std::string_view(path).substr(process_prefix.size());
    size_t slash = std::min(rest.find('/'), rest.size());
    return processes_.route(stream, request.method, rest.substr(0, slash), rest.substr(slash));
  }
  answer(*connection_, stream, 404);
  return {};
}

void Server::set_container_up(StreamId stream, const std::string& body) {
  auto config = channel::decode_container_config(body);
  if (processes_.has_container()) config = fail(Errc::already_exists, "set container up: there is one");
  if (config) processes_.prepare_for(*config);
  auto ready = config ? make_container(*config) : Result<>(std::unexpected(config.error()));
  answer_result(*connection_, stream, ready);
  if (ready) processes_.set_container(std::move(*config), body);
}

void Server::prepare(StreamId stream, const std::string& body) {
  auto prepare = [&]() -> Result<> {
    channel::Preparation preparation = TRY(channel::decode_preparation(body));
    TRY(prepare_container_root(preparation.container));
    return processes_.prepare(preparation);
  };
  answer_result(*connection_, stream, prepare());
}

void Server::read_clock(StreamId stream) {
  answer(*connection_, stream, 200, encode(channel::ClockReading{monotonic_ns()}));
}

void Server::measure(StreamId stream) {
  channel::Stats stats = agent::measure();
  stats.agent_processes = static_cast<uint32_t>(processes_.size());
  answer(*connection_, stream, 200, encode(stats));
}

void Server::list_processes(StreamId stream) {
  pid_t first = processes_.first();
  if (first < 0) return refuse(*connection_, stream, {125, "the container is not running"});
  answer(*connection_, stream, 200, encode(agent::list_processes(first)));
}

void Server::freeze(StreamId stream, bool frozen) {
  if (processes_.first() < 0) return refuse(*connection_, stream, {125, "the container is not running"});
  freezer_.set(frozen, [this, stream](const Result<>& result) { answer_result(*connection_, stream, result); });
}

void Server::set_limits(StreamId stream, const std::string& body) {
  auto limits = channel::decode_limits(body);
  answer_result(*connection_, stream, limits ? agent::set_limits(*limits) : Result<>(std::unexpected(limits.error())));
}

// What was begun for one client must not be answered to the next.
void Server::quiesce(StreamId stream) {
  if (processes_.first() < 0 && !processes_.prepared())
    return refuse(*connection_, stream, {125, "the container is not running"});
  if (freezer_.busy()) return refuse(*connection_, stream, {125, "the container is paused"});
  if (shutdown_stream_ != 0) return refuse(*connection_, stream, {125, "the guest is shutting down"});
  connection_->hold_after(stream, [this] { processes_.leave_clients(); });
  answer(*connection_, stream, 200);
}

void Server::set_identity(StreamId stream, const std::string& body) {
  auto take = [&]() -> Result<> {
    channel::Identity identity = TRY(channel::decode_identity(body));
    TRY(take_identity(identity.clock_offset_ns, identity.entropy));
    pid_t first = processes_.first();
    if (first < 0) return {};  // it has ended meanwhile: nobody looks any more
    if (!identity.entropy.empty()) TRY(change_boot_id(first));
    channel::ContainerConfig& container = processes_.container();
    if (container.network && !identity.mac.empty()) {
      container.network->mac = identity.mac;
      // The container may have taken its interface away, or called it something else.
      if (auto changed = change_mac(*container.network); !changed) log(changed.error().message);
    }
    if (identity.hostname.empty()) return {};
    TRY(rename_host(first, container.hostname, identity.hostname));
    container.hostname = identity.hostname;
    return {};
  };
  answer_result(*connection_, stream, take());
}

void Server::reap() {
  processes_.reap();
  if (shutdown_stream_ != 0 && processes_.all_dead()) finish_shutdown(true);
}

void Server::shut_down(StreamId stream) {
  if (shutdown_stream_ != 0) return refuse(*connection_, stream, {125, "it is under way"});
  shutdown_stream_ = stream;
  processes_.kill_all();
  if (processes_.all_dead()) return finish_shutdown(true);
  shutdown_deadline_ = loop_.after(kill_deadline, [this] {
    shutdown_deadline_.reset();
    finish_shutdown(false);
  });
}

void Server::finish_shutdown(bool in_time) {
  if (shutdown_deadline_) loop_.cancel(*shutdown_deadline_);
  shutdown_deadline_.reset();
  StreamId stream = std::exchange(shutdown_stream_, 0);
  processes_.leave_namespaces();
  if (in_time) return answer_result(*connection_, stream, unmount_container_root());
  abandon_container_root();
  refuse(*connection_, stream, {125, "a process does not end; the disks are written"});
}

}  // namespace diatom::agent
