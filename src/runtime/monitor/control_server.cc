#include "runtime/monitor/control_server.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/unix_socket.h"

namespace diatom {

namespace {

// More than anybody needs; each costs a descriptor and a few KiB.
constexpr size_t most_clients = 512;
constexpr auto full_pause = std::chrono::seconds(1);

}  // namespace

ControlServer::~ControlServer() {
  stop_listening();
  for (auto& client : clients_) client->close();
}

Result<> ControlServer::listen(const fs::path& socket) {
  TRY(make_directories(socket.parent_path()));
  socket_ = TRY(listen_on(socket));
  path_ = socket;
  accept_from_now_on();
  return {};
}

void ControlServer::stop_listening() {
  if (!socket_) return;
  if (pause_) loop_.cancel(*std::exchange(pause_, std::nullopt));
  loop_.forget(socket_.get());
  ::unlink(path_.c_str());
  socket_.reset();
}

void ControlServer::accept_from_now_on() {
  pause_.reset();
  loop_.on_readable(socket_.get(), [this] { accept(); });
}

void ControlServer::accept() {
  auto accepted = accept_from(socket_);
  if (!accepted) {
    // It stays readable, and must not keep us busy.
    loop_.forget(socket_.get());
    pause_ = loop_.after(full_pause, [this] { accept_from_now_on(); });
    return;
  }
  if (!*accepted || clients_.size() >= most_clients) return;
  [[maybe_unused]] auto ignored = adopt(std::move(*accepted));
}

Result<> ControlServer::adopt(UniqueFd fd) {
  auto place = clients_.emplace(clients_.end());
  auto client = channel::Connection::open(
      loop_, std::move(fd), channel::Connection::Role::server,
      [this, place](channel::StreamId stream, const channel::Request& request) {
        return route_(**place, stream, request);
      },
      [this, place](const Error&) {
        // Not under its own feet.
        loop_.post([this, place] {
          clients_.erase(place);
          on_change_();
        });
      });
  if (!client) {
    clients_.erase(place);
    return std::unexpected(client.error());
  }
  *place = std::move(*client);
  return {};
}

// One that is lost is on its way out already.
void ControlServer::release_unused() {
  for (auto place = clients_.begin(); place != clients_.end();) {
    if ((*place)->has_streams() || (*place)->lost()) {
      ++place;
      continue;
    }
    (*place)->close();
    place = clients_.erase(place);
  }
}

void ControlServer::when_idle(std::function<void()> done) {
  auto left = std::make_shared<size_t>(clients_.size() + 1);
  auto one_less = [left, done = std::move(done)] {
    if (--*left == 0) done();
  };
  for (auto& client : clients_) client->await_idle(one_less);
  one_less();
}

}  // namespace diatom
