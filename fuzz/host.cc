// A hostile host against a server of the guest channel: it ends when the host has hung up, and every stream that it
// was told of is closed, once, with nothing said of it afterwards.
#include <csignal>
#include <map>

#include "channel/connection.h"
#include "hostile_peer.h"

using namespace diatom;
using namespace diatom::channel;

namespace {

// Sends back what it gets, or sends without end, as the path says: the agent's two ways to use a stream.
class Server {
 public:
  Server(EventLoop& loop, UniqueFd channel) {
    auto on_request = [this](StreamId id, const Request& request) { return serve(id, request); };
    auto opened = Connection::open(loop, std::move(channel), Connection::Role::server, on_request,
                                   [this, &loop](const Error& error) {
                                     REQUIRE(!error.message.empty());
                                     ++lost_;
                                     loop.stop();
                                   });
    REQUIRE(opened);
    connection_ = std::move(*opened);
  }

  void check() const {
    REQUIRE(lost_ == 1 && connection_->lost());
    for (const auto& [id, open] : open_) REQUIRE(!open);
  }

 private:
  StreamHandlers serve(StreamId id, const Request& request) {
    REQUIRE(!open_.contains(id));
    open_[id] = true;
    REQUIRE(request.path.size() < (128 << 10));
    if (request.path == "/never") return closing(id, {});
    if (request.path == "/reset") {
      connection_->reset(id);
      return closing(id, {});
    }
    connection_->respond(id, 200);
    StreamHandlers handlers;
    handlers.on_writable = [this, id] { produce(id); };
    if (request.path == "/out") {
      produce(id);
      return closing(id, std::move(handlers));
    }
    handlers.on_data = [this, id](std::span<const std::byte> data) {
      REQUIRE(open_[id]);
      connection_->send(id, data);
      connection_->consume(id, data.size());
    };
    handlers.on_end = [this, id] {
      REQUIRE(open_[id]);
      connection_->finish(id);
    };
    return closing(id, std::move(handlers));
  }

  StreamHandlers closing(StreamId id, StreamHandlers handlers) {
    handlers.on_close = [this, id](bool) {
      REQUIRE(open_[id]);
      open_[id] = false;
      connection_->finish(id);  // it is gone: this says nothing
    };
    return handlers;
  }

  void produce(StreamId id) {
    static const std::string block(32 << 10, 'o');
    REQUIRE(open_[id]);
    for (int i = 0; i < 4 && connection_->room(id) > 0; ++i) connection_->send(id, std::as_bytes(std::span(block)));
    if (++produced_ < 256)
      connection_->await_room(id);
    else
      connection_->finish(id);
  }

  std::map<StreamId, bool> open_;
  int produced_ = 0;
  int lost_ = 0;
  std::unique_ptr<Connection> connection_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool ignored = ::signal(SIGPIPE, SIG_IGN) != SIG_ERR;  // as main() does
  if (size < 1 || !ignored) return 0;
  bool raw = (data[0] & 1) != 0;
  std::string_view input = fuzz::as_text(data + 1, size - 1);
  auto loop = EventLoop::create();
  REQUIRE(loop);
  std::string preface("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  preface += std::string_view("\0\0\0\4\0\0\0\0\0", 9);  // empty settings
  fuzz::HostilePeer host(**loop, raw ? std::string(input) : preface + fuzz::http2_frames(input));
  Server server(**loop, host.take_victims_end());
  host.run_to_its_end();
  server.check();
  return 0;
}
