#include "channel/relay.h"

#include <memory>

namespace diatom::channel {

namespace {

// One direction of a relayed stream: what came in and has not been taken yet. At most the stream's window.
struct Pipe {
  std::string held;
  bool ended = false;  // nothing more comes in
};

struct Relay {
  Connection* from;  // null once its end of the stream is closed
  StreamId near;
  Connection* to;
  StreamId far = -1;
  Pipe up, down;

  static void pass(Pipe& pipe, Connection* source, StreamId source_stream, Connection* sink, StreamId sink_stream,
                   std::span<const std::byte> data) {
    if (sink == nullptr) {  // nobody takes it
      if (source != nullptr) source->consume(source_stream, data.size());
      return;
    }
    size_t taken = pipe.held.empty() ? sink->send(sink_stream, data) : 0;
    if (taken > 0 && source != nullptr) source->consume(source_stream, taken);
    auto rest = data.subspan(taken);
    pipe.held.append(reinterpret_cast<const char*>(rest.data()), rest.size());
  }

  static void pass_held(Pipe& pipe, Connection* source, StreamId source_stream, Connection* sink,
                        StreamId sink_stream) {
    if (sink == nullptr) return;
    size_t taken = sink->send(sink_stream, std::as_bytes(std::span(pipe.held)));
    pipe.held.erase(0, taken);
    if (taken > 0 && source != nullptr) source->consume(source_stream, taken);
    if (pipe.held.empty() && pipe.ended) sink->finish(sink_stream);
  }

  static void end(Pipe& pipe, Connection* sink, StreamId sink_stream) {
    pipe.ended = true;
    if (pipe.held.empty() && sink != nullptr) sink->finish(sink_stream);
  }

  void near_closed(bool clean) {
    bool gone = from->lost();
    from = nullptr;
    if (to == nullptr || clean) return;
    if (!gone) return to->reset(far);  // a client that is there, and wants no more of it
    if (!down.held.empty()) to->consume(far, down.held.size());
    down.held.clear();
    if (!up.ended) end(up, to, far);
  }

  void far_closed(bool clean) {
    to = nullptr;
    if (from == nullptr) return;
    if (!clean || !down.ended) from->reset(near);  // else what is held goes out yet
  }
};

}  // namespace

StreamHandlers relay(Connection& from, StreamId stream, const Request& request, Connection& to, bool wide) {
  auto state =
      std::make_shared<Relay>(Relay{.from = &from, .near = stream, .to = &to, .far = -1, .up = {}, .down = {}});
  StreamHandlers far;
  far.on_status = [state](int status) {
    if (state->from != nullptr) state->from->respond(state->near, status);
  };
  far.on_data = [state](std::span<const std::byte> data) {
    Relay::pass(state->down, state->to, state->far, state->from, state->near, data);
  };
  far.on_end = [state] { Relay::end(state->down, state->from, state->near); };
  far.on_writable = [state] { Relay::pass_held(state->up, state->from, state->near, state->to, state->far); };
  far.on_close = [state](bool clean) { state->far_closed(clean); };
  to.cork();
  state->far = to.request(request, std::move(far));
  if (wide) {
    from.widen(stream);
    to.widen(state->far);
  }
  to.uncork();

  StreamHandlers near;
  near.on_data = [state](std::span<const std::byte> data) {
    Relay::pass(state->up, state->from, state->near, state->to, state->far, data);
  };
  near.on_end = [state] { Relay::end(state->up, state->to, state->far); };
  near.on_writable = [state] { Relay::pass_held(state->down, state->to, state->far, state->from, state->near); };
  near.on_close = [state](bool clean) { state->near_closed(clean); };
  return near;
}

}  // namespace diatom::channel
