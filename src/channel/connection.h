// One HTTP/2 connection (RFC 9113, by nghttp2) over one duplex byte stream: the guest channel. Both ends use it. Every
// stream has its own flow control: a receiver that does not consume() stalls that stream and no other, and each side
// holds at most `stream_window` bytes for a stream it receives and `send_buffer` bytes for one that it sends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/event_loop.h"
#include "base/platform/platform.h"

struct nghttp2_session;

namespace diatom::channel {

inline constexpr uint32_t stream_window = 64 << 10;
inline constexpr size_t send_buffer = 64 << 10;
// Of a stream that was widened: few are, for it is memory on both sides.
inline constexpr uint32_t wide_stream_window = 256 << 10;
inline constexpr size_t wide_send_buffer = 256 << 10;
inline constexpr uint32_t max_streams = 8192;

using StreamId = int32_t;

struct Request {
  std::string method;
  std::string path;
};

// All optional. None is called after on_close.
struct StreamHandlers {
  std::function<void(int status)> on_status;                // client: the response's headers are there
  std::function<void(std::span<const std::byte>)> on_data;  // answered by consume()
  std::function<void()> on_end;                             // the peer has sent everything
  std::function<void()> on_writable;         // after await_room(), or a send() that took less than offered
  std::function<void(bool clean)> on_close;  // not clean: reset by the peer or lost
};

// Lives on the loop's thread.
class Connection {
 public:
  enum class Role { client, server };
  // Called for each request; returns the handlers of its stream.
  using RequestHandler = std::function<StreamHandlers(StreamId, const Request&)>;

  // Takes the descriptor, and makes it non-blocking; with none, everything waits for attach(). `on_lost` is called
  // once, when the peer has gone or speaks nonsense; every stream is closed before.
  static Result<std::unique_ptr<Connection>> open(EventLoop& loop, UniqueFd fd, Role role, RequestHandler on_request,
                                                  std::function<void(Error)> on_lost);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  Connection(Connection&&) = delete;
  Connection& operator=(Connection&&) = delete;
  ~Connection();

  Result<> attach(UniqueFd fd);  // once, where there was none

  // Client. The stream's own sending side is open until finish().
  StreamId request(const Request& request, StreamHandlers handlers);
  // Server, once a stream. Its body follows by send() and ends with finish().
  void respond(StreamId stream, int status);

  size_t send(StreamId stream, std::span<const std::byte> data);  // returns what it took
  void send_all(StreamId stream, std::string_view body);          // a message of ours: taken whole
  // Sends what a pipe holds without copying it (splice(2)), and returns how much it took out of the pipe; 0: none yet,
  // on_writable follows. Nothing: there is little in it, read() and send() that.
  std::optional<size_t> send_from(StreamId stream, int pipe);
  void finish(StreamId stream);  // nothing more will be sent
  void reset(StreamId stream);
  void consume(StreamId stream, size_t bytes);
  void widen(StreamId stream);         // at once after request(), or in the request handler: wide window, wide buffer
  size_t room(StreamId stream) const;  // how much send() would take
  void await_room(StreamId stream);    // on_writable follows once there is plenty

  bool lost() const { return lost_; }
  bool has_streams() const { return !streams_.empty(); }
  // Ends it from this side: every stream is closed (not clean), on_lost is not called.
  void close();
  // Calls `done` once everything that was sent has been handed to the kernel, or the connection is lost; perhaps before
  // it returns.
  void await_idle(std::function<void()> done);

  // Nothing is sent behind the end of our own side of `stream`, until go_on(): so that whoever has read that end knows
  // that nothing of ours is under way. A server may meanwhile be spoken to by somebody new, who begins a conversation
  // of his own (it has been copied, and is the copy): then `on_renewed` is called, every stream is closed, not cleanly,
  // and it goes on from there.
  void hold_after(StreamId stream, std::function<void()> on_renewed = nullptr);
  void go_on();

  // Between the two nothing is written; then all at once. They nest.
  void cork() { ++corked_; }
  void uncork();

 private:
  struct Stream {
    StreamHandlers handlers;
    std::string out;
    size_t out_begin = 0;
    std::shared_ptr<platform::Pipe> pipe;  // of what send_from() took; `out` is empty meanwhile
    size_t in_pipe = 0;
    bool finished = false;
    bool starved = false;  // nghttp2 waits for data
    bool want_room = false;
    bool want_splice = false;  // room is not enough
    bool wide = false;
    Request incoming;  // server: headers as they come
    int status = 0;
  };
  struct Callbacks;
  struct FreeSession {
    void operator()(nghttp2_session* session) const;
  };

  Connection(EventLoop& loop, UniqueFd fd, Role role, RequestHandler on_request, std::function<void(Error)> on_lost);
  using Session = std::unique_ptr<nghttp2_session, FreeSession>;
  Result<Session> make_session();
  void renew();
  Stream* find(StreamId id);
  void readable();
  void flush();
  size_t frame_room(StreamId id) const;
  bool can_splice(StreamId id, const Stream& stream) const;
  ssize_t write_out();
  ssize_t move_piped();
  ssize_t copy_from(const platform::Pipe& pipe, size_t bytes);
  bool all_written() const { return pending_begin_ == pending_.size() && piped_bytes_ == 0; }
  void stop_writing();
  void close_streams();
  void lose(Error error);
  bool idle() const;
  void tell_of_idleness();
  void resume(StreamId id, Stream& stream);
  void widen_window(StreamId id);
  static size_t buffer_of(const Stream& stream) { return stream.wide ? wide_send_buffer : send_buffer; }
  bool has_news_of_room(StreamId id, const Stream& stream) const;
  void tell_of_room();

  EventLoop& loop_;
  UniqueFd fd_;
  Role role_;
  RequestHandler on_request_;
  std::function<void(Error)> on_lost_;
  std::function<void()> on_idle_;
  Session session_;
  Result<Session> next_session_;  // of who may come while nothing is sent: made before that
  std::map<StreamId, std::unique_ptr<Stream>> streams_;
  std::string pending_;  // serialised, not yet written
  size_t pending_begin_ = 0;
  std::shared_ptr<platform::Pipe> piped_;  // behind `pending_` comes so much out of this stream's pipe
  StreamId piped_stream_ = 0;
  size_t piped_bytes_ = 0;
  int corked_ = 0;
  bool flushing_ = false;
  StreamId last_stream_ = 0;  // hold_after()'s
  bool held_ = false;
  std::function<void()> on_renewed_;
  std::optional<EventLoop::TimerId> room_timer_;
  bool watching_writable_ = false;
  bool unheard_ = false;  // the peer takes nothing more
  bool lost_ = false;
};

}  // namespace diatom::channel
