#include "channel/connection.h"

#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>
#include <vector>

#include "base/platform/platform.h"

namespace diatom::channel {

namespace {

constexpr size_t read_block = 128 << 10;
constexpr size_t write_block = 128 << 10;
constexpr size_t port_page = 4096;
constexpr uint32_t frame_size = 256 << 10;
constexpr size_t frame_head = 9;  // RFC 9113, 4.1
// Less is copied: a splice is a write of its own, and the frame's head another.
constexpr size_t worth_splicing = 16 << 10;
// Of all streams together; never the limit: each stream's own window is consumed from this one at once.
constexpr int32_t connection_window = 64 << 20;

nghttp2_nv header(std::string_view name, std::string_view value) {
  auto bytes = [](std::string_view text) { return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data())); };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NO_INDEX};
}

// Without a SIGPIPE for whoever uses this as a library; the guest's end is no socket, and its agent ignores the signal.
ssize_t write_quietly(int fd, const void* data, size_t size) {
  ssize_t put = platform::send_quietly(fd, data, size);
  return put < 0 && errno == ENOTSOCK ? ::write(fd, data, size) : put;
}

Error nghttp2_error(std::string_view what, ssize_t code) {
  return {Errc::guest, "guest channel: " + std::string(what) + ": " + nghttp2_strerror(static_cast<int>(code)), ""};
}

}  // namespace

// What nghttp2 calls. `user` is the Connection.
struct Connection::Callbacks {
  static Connection& self(void* user) { return *static_cast<Connection*>(user); }

  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Connection& connection = self(user);
    if (connection.role_ == Role::server && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
      connection.streams_[frame->hd.stream_id] = std::make_unique<Stream>();
    return 0;
  }

  static int header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                    const uint8_t* value, size_t value_size, uint8_t, void* user) {
    Stream* stream = self(user).find(frame->hd.stream_id);
    if (stream == nullptr) return 0;
    std::string_view key(reinterpret_cast<const char*>(name), name_size);
    std::string_view text(reinterpret_cast<const char*>(value), value_size);
    if (key == ":method") stream->incoming.method = text;
    if (key == ":path") stream->incoming.path = text;
    if (key == ":status") std::from_chars(text.data(), text.data() + text.size(), stream->status);
    return 0;
  }

  static int frame_received(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Connection& connection = self(user);
    StreamId id = frame->hd.stream_id;
    Stream* stream = connection.find(id);
    if (stream == nullptr) return 0;
    if (frame->hd.type == NGHTTP2_HEADERS) {
      if (connection.role_ == Role::server && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        stream->handlers = connection.on_request_(id, stream->incoming);
      } else if (connection.role_ == Role::client) {
        if (stream->wide) connection.widen_window(id);
        if (stream->handlers.on_status) stream->handlers.on_status(stream->status);
      }
      stream = connection.find(id);
    }
    bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
                (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA);
    if (ends && stream != nullptr && stream->handlers.on_end) stream->handlers.on_end();
    return 0;
  }

  static int data(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* bytes, size_t size, void* user) {
    // The connection's window must never be what holds a stream up.
    nghttp2_session_consume_connection(session, size);
    Stream* stream = self(user).find(id);
    if (stream != nullptr && stream->handlers.on_data)
      stream->handlers.on_data(std::as_bytes(std::span(bytes, size)));
    else
      nghttp2_session_consume_stream(session, id, size);
    return 0;
  }

  static int closed(nghttp2_session*, int32_t id, uint32_t error, void* user) {
    Connection& connection = self(user);
    auto node = connection.streams_.extract(id);
    if (!node.empty() && node.mapped()->handlers.on_close) node.mapped()->handlers.on_close(error == NGHTTP2_NO_ERROR);
    return 0;
  }

  static ssize_t read_body(nghttp2_session*, int32_t id, uint8_t*, size_t room, uint32_t* flags, nghttp2_data_source*,
                           void* user) {
    Stream* stream = self(user).find(id);
    if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t there = stream->in_pipe > 0 ? stream->in_pipe : stream->out.size() - stream->out_begin;
    size_t size = std::min(room, there);
    if (size == 0 && !stream->finished) {
      stream->starved = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (stream->finished && size == there) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }

  // One frame of what read_body has promised.
  static int send_data(nghttp2_session*, nghttp2_frame* frame, const uint8_t* head, size_t size, nghttp2_data_source*,
                       void* user) {
    Connection& connection = self(user);
    Stream* stream = connection.find(frame->hd.stream_id);
    if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    connection.pending_.append(reinterpret_cast<const char*>(head), frame_head);
    bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (ends && frame->hd.stream_id == connection.last_stream_) connection.held_ = true;
    if (stream->in_pipe > 0) {
      if (size < stream->in_pipe) {  // the peer has made its window smaller
        stream->in_pipe -= size;
        bool whole = connection.copy_from(*stream->pipe, size) == static_cast<ssize_t>(size);
        return whole ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
      }
      connection.piped_ = stream->pipe;
      connection.piped_stream_ = frame->hd.stream_id;
      connection.piped_bytes_ = size;
      return NGHTTP2_ERR_PAUSE;  // nothing behind it until it is written
    }
    connection.pending_.append(stream->out, stream->out_begin, size);
    stream->out_begin += size;
    if (stream->out_begin == stream->out.size()) {
      stream->out.clear();
      stream->out_begin = 0;
    } else if (stream->out_begin >= buffer_of(*stream)) {  // a source that is always ahead must not make it grow
      stream->out.erase(0, stream->out_begin);
      stream->out_begin = 0;
    }
    return 0;
  }

  static ssize_t frame_length(nghttp2_session*, uint8_t, int32_t, int32_t connection_left, int32_t stream_left,
                              uint32_t frame_max, void*) {
    return std::min({connection_left, stream_left, static_cast<int32_t>(frame_max)});
  }
};

void Connection::FreeSession::operator()(nghttp2_session* session) const { nghttp2_session_del(session); }

Connection::Connection(EventLoop& loop, UniqueFd fd, Role role, RequestHandler on_request,
                       std::function<void(Error)> on_lost)
    : loop_(loop), fd_(std::move(fd)), role_(role), on_request_(std::move(on_request)), on_lost_(std::move(on_lost)) {}

Connection::~Connection() {
  if (fd_) loop_.forget(fd_.get());
  if (room_timer_) loop_.cancel(*room_timer_);
}

Result<std::unique_ptr<Connection>> Connection::open(EventLoop& loop, UniqueFd fd, Role role, RequestHandler on_request,
                                                     std::function<void(Error)> on_lost) {
  std::unique_ptr<Connection> connection(
      new Connection(loop, std::move(fd), role, std::move(on_request), std::move(on_lost)));
  connection->session_ = TRY(connection->make_session());
  if (connection->fd_) TRY(connection->attach(std::move(connection->fd_)));
  return connection;
}

Result<Connection::Session> Connection::make_session() {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Callbacks::begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::frame_received);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::closed);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, Callbacks::send_data);
  nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, Callbacks::frame_length);
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_max_reserved_remote_streams(option, 0);
  nghttp2_session* session = nullptr;
  int made = role_ == Role::client ? nghttp2_session_client_new2(&session, callbacks, this, option)
                                   : nghttp2_session_server_new2(&session, callbacks, this, option);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  if (made != 0) return std::unexpected(nghttp2_error("begin", made));
  Session owned(session);

  std::array settings = {
      nghttp2_settings_entry{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window},
      nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_FRAME_SIZE, frame_size},
      nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, max_streams},
      nghttp2_settings_entry{NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, 0},
      nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 8192},
  };
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, connection_window);
  return owned;
}

Result<> Connection::attach(UniqueFd fd) {
  fd_ = std::move(fd);
  if (::fcntl(fd_.get(), F_SETFL, ::fcntl(fd_.get(), F_GETFL) | O_NONBLOCK) < 0) return fail_errno("guest channel");
  loop_.on_readable(fd_.get(), [this] { readable(); });
  if (corked_ == 0) flush();
  return {};
}

Connection::Stream* Connection::find(StreamId id) {
  auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second.get();
}

StreamId Connection::request(const Request& request, StreamHandlers handlers) {
  std::array headers = {header(":method", request.method), header(":scheme", "http"), header(":path", request.path),
                        header(":authority", "agent")};
  nghttp2_data_provider body{};
  body.read_callback = Callbacks::read_body;
  if (lost_) {
    if (handlers.on_close) handlers.on_close(false);
    return -1;
  }
  StreamId id = nghttp2_submit_request(session_.get(), nullptr, headers.data(), headers.size(), &body, nullptr);
  if (id < 0) {
    if (handlers.on_close) handlers.on_close(false);
    return id;
  }
  streams_[id] = std::make_unique<Stream>();
  streams_[id]->handlers = std::move(handlers);
  if (corked_ == 0) flush();
  return id;
}

void Connection::respond(StreamId stream, int status) {
  if (find(stream) == nullptr) return;
  std::string text = std::to_string(status);
  std::array headers = {header(":status", text)};
  nghttp2_data_provider body{};
  body.read_callback = Callbacks::read_body;
  nghttp2_submit_response(session_.get(), stream, headers.data(), headers.size(), &body);
  if (corked_ == 0) flush();
}

void Connection::widen(StreamId id) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  stream->wide = true;
  // A request of ours may still wait to be sent: its window is widened with the response's headers, before any data.
  if (role_ == Role::server) widen_window(id);
}

void Connection::widen_window(StreamId id) {
  nghttp2_session_set_local_window_size(session_.get(), NGHTTP2_FLAG_NONE, id, wide_stream_window);
}

void Connection::resume(StreamId id, Stream& stream) {
  if (stream.starved) {
    stream.starved = false;
    nghttp2_session_resume_data(session_.get(), id);
  }
  if (corked_ == 0) flush();
}

size_t Connection::room(StreamId id) const {
  auto found = streams_.find(id);
  if (found == streams_.end() || found->second->in_pipe > 0) return 0;
  size_t held = found->second->out.size() - found->second->out_begin;
  size_t buffer = buffer_of(*found->second);
  return held >= buffer ? 0 : buffer - held;
}

void Connection::await_room(StreamId id) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  stream->want_room = true;
  if (corked_ == 0) flush();  // tells when there is room already
}

size_t Connection::send(StreamId id, std::span<const std::byte> data) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->finished) return data.size();  // nobody is there to take it
  size_t size = std::min(data.size(), room(id));
  stream->want_room = size < data.size();
  if (size == 0) return 0;
  stream->out.append(reinterpret_cast<const char*>(data.data()), size);
  resume(id, *stream);
  return size;
}

void Connection::send_all(StreamId id, std::string_view body) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->finished) return;
  stream->out.append(body);
  resume(id, *stream);
}

// What goes in one frame: Linux's console driver must be given all that a pipe holds (its scatter list has an end only
// there), so that what is to be spliced is never more.
size_t Connection::frame_room(StreamId id) const {
  int32_t window = std::min(nghttp2_session_get_stream_remote_window_size(session_.get(), id),
                            nghttp2_session_get_remote_window_size(session_.get()));
  return static_cast<size_t>(std::clamp(window, 0, static_cast<int32_t>(frame_size)));
}

bool Connection::can_splice(StreamId id, const Stream& stream) const {
  return stream.out.empty() && stream.in_pipe == 0 && frame_room(id) >= worth_splicing;
}

std::optional<size_t> Connection::send_from(StreamId id, int pipe) {
  Stream* stream = find(id);
  int there = 0;
  if (stream == nullptr || stream->finished) return std::nullopt;
  if (::ioctl(pipe, FIONREAD, &there) < 0 || static_cast<size_t>(there) < worth_splicing) return std::nullopt;
  if (!can_splice(id, *stream)) {
    stream->want_room = stream->want_splice = true;
    return 0;
  }
  if (!stream->pipe) {
    auto made = platform::make_pipe();
    if (!made) return std::nullopt;
    platform::widen_pipe(made->write_end.get(), buffer_of(*stream));
    stream->pipe = std::make_shared<platform::Pipe>(std::move(*made));
  }
  ssize_t moved = platform::splice(pipe, stream->pipe->write_end.get(), frame_room(id));
  if (moved <= 0) return std::nullopt;
  stream->in_pipe = static_cast<size_t>(moved);
  resume(id, *stream);
  return static_cast<size_t>(moved);
}

void Connection::finish(StreamId id) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->finished) return;
  stream->finished = true;
  resume(id, *stream);
}

void Connection::reset(StreamId id) {
  if (find(id) == nullptr) return;
  nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  if (corked_ == 0) flush();
}

void Connection::consume(StreamId id, size_t bytes) {
  if (lost_) return;
  nghttp2_session_consume_stream(session_.get(), id, bytes);
  if (corked_ == 0) flush();
}

void Connection::uncork() {
  if (--corked_ == 0 && !lost_) flush();
}

void Connection::hold_after(StreamId stream, std::function<void()> on_renewed) {
  last_stream_ = stream;
  on_renewed_ = std::move(on_renewed);
  if (role_ == Role::server) next_session_ = make_session();
}

void Connection::go_on() {
  last_stream_ = 0;
  on_renewed_ = nullptr;
  next_session_ = {};
  if (std::exchange(held_, false) && corked_ == 0) flush();
}

void Connection::renew() {
  if (on_renewed_) std::exchange(on_renewed_, nullptr)();
  close_streams();
  pending_.clear();
  pending_begin_ = 0;
  piped_bytes_ = 0;
  piped_.reset();
  last_stream_ = 0;
  held_ = false;
  if (!next_session_) return lose(next_session_.error());
  session_ = std::move(*next_session_);
}

void Connection::readable() {
  std::array<uint8_t, read_block> block;
  ssize_t got = ::read(fd_.get(), block.data(), block.size());
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return lose({Errc::guest, "guest channel: the other end has gone", ""});
  // A virtio port hands out a page at a time: what more there is comes along at once. An end is for the next turn.
  auto size = static_cast<size_t>(got);
  while (static_cast<size_t>(got) == port_page && size + port_page <= block.size()) {
    got = ::read(fd_.get(), block.data() + size, block.size() - size);
    if (got <= 0) break;
    size += static_cast<size_t>(got);
  }
  std::string_view text(reinterpret_cast<const char*>(block.data()), size);
  if (held_ && role_ == Role::server && text.starts_with(std::string_view(NGHTTP2_CLIENT_MAGIC))) renew();
  if (lost_) return;
  ++corked_;
  ssize_t used = nghttp2_session_mem_recv(session_.get(), block.data(), size);
  --corked_;
  if (used < 0) return lose(nghttp2_error("read", used));
  flush();
}

void Connection::flush() {
  // nghttp2 closes streams while it sends, too, and a handler that is told of it may ask for more: the send that is
  // under way takes that along, and must not be entered again.
  if (lost_ || unheard_ || flushing_ || !fd_) return;
  for (;;) {
    while (!held_ && piped_bytes_ == 0 && pending_.size() - pending_begin_ < write_block) {
      const uint8_t* bytes = nullptr;
      size_t before = pending_.size();
      flushing_ = true;
      ssize_t size = nghttp2_session_mem_send(session_.get(), &bytes);
      flushing_ = false;
      if (size < 0) return lose(nghttp2_error("write", size));
      pending_.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
      if (pending_.size() == before) break;
    }
    if (all_written()) break;
    ssize_t put = write_out();
    if (put < 0 && errno == EINTR) continue;
    // The peer has closed its end; what it said before that is still to be read, and its end comes by reading, too.
    if (put < 0 && (errno == EPIPE || errno == ECONNRESET)) return stop_writing();
    if (put < 0 && errno != EAGAIN)
      return lose({Errc::guest, std::string("guest channel: write: ") + std::strerror(errno), ""});
    if (put <= 0) break;
  }
  bool blocked = !all_written();
  if (pending_begin_ >= write_block) {  // a peer that is always a little behind must not make it grow
    pending_.erase(0, pending_begin_);
    pending_begin_ = 0;
  }
  if (blocked != watching_writable_) {
    watching_writable_ = blocked;
    if (blocked)
      loop_.on_writable(fd_.get(), [this] { flush(); });
    else
      loop_.forget_writable(fd_.get());
  }
  if (nghttp2_session_want_read(session_.get()) == 0 && nghttp2_session_want_write(session_.get()) == 0)
    return lose({Errc::guest, "guest channel: closed by the other end", ""});
  if (on_idle_) tell_of_idleness();
  // Whoever waits for room is told at the next turn: the handler sends, which comes back here.
  if (!room_timer_ &&
      std::ranges::any_of(streams_, [this](const auto& entry) { return has_news_of_room(entry.first, *entry.second); }))
    room_timer_ = loop_.after(std::chrono::milliseconds(0), [this] { tell_of_room(); });
}

// Of what is serialised, as much as the descriptor takes in one go.
ssize_t Connection::write_out() {
  if (pending_begin_ == pending_.size()) return move_piped();
  ssize_t put = write_quietly(fd_.get(), pending_.data() + pending_begin_, pending_.size() - pending_begin_);
  if (put > 0) pending_begin_ += static_cast<size_t>(put);
  if (pending_begin_ == pending_.size()) {
    pending_.clear();
    pending_begin_ = 0;
  }
  return put;
}

ssize_t Connection::move_piped() {
  ssize_t put = platform::splice(piped_->read_end.get(), fd_.get(), piped_bytes_);
  if (put <= 0) return put;
  piped_bytes_ -= static_cast<size_t>(put);
  if (Stream* stream = find(piped_stream_)) stream->in_pipe -= static_cast<size_t>(put);
  if (piped_bytes_ == 0) piped_.reset();
  return put;
}

ssize_t Connection::copy_from(const platform::Pipe& pipe, size_t bytes) {
  size_t before = pending_.size();
  pending_.resize(before + bytes);
  ssize_t got = ::read(pipe.read_end.get(), pending_.data() + before, bytes);
  pending_.resize(before + static_cast<size_t>(std::max<ssize_t>(got, 0)));
  return got;
}

void Connection::stop_writing() {
  unheard_ = true;
  pending_.clear();
  pending_begin_ = 0;
  piped_bytes_ = 0;
  piped_.reset();
  if (std::exchange(watching_writable_, false)) loop_.forget_writable(fd_.get());
  if (on_idle_) tell_of_idleness();
}

bool Connection::has_news_of_room(StreamId id, const Stream& stream) const {
  if (!stream.want_room || !stream.handlers.on_writable) return false;
  return stream.want_splice ? can_splice(id, stream) : room(id) >= buffer_of(stream) / 2;
}

// A handler may close any stream, its own too.
void Connection::tell_of_room() {
  room_timer_.reset();
  std::vector<StreamId> waiting;
  for (const auto& [id, stream] : streams_)
    if (has_news_of_room(id, *stream)) waiting.push_back(id);
  for (StreamId id : waiting) {
    Stream* stream = find(id);
    if (stream == nullptr || !has_news_of_room(id, *stream)) continue;
    stream->want_room = stream->want_splice = false;
    auto handler = stream->handlers.on_writable;
    handler();
  }
}

void Connection::close_streams() {
  auto streams = std::move(streams_);
  streams_.clear();
  for (auto& [id, stream] : streams)
    if (stream->handlers.on_close) stream->handlers.on_close(false);
}

void Connection::lose(Error error) {
  if (lost_) return;
  lost_ = true;
  if (fd_) loop_.forget(fd_.get());
  close_streams();
  if (on_idle_) std::exchange(on_idle_, nullptr)();
  if (on_lost_) on_lost_(std::move(error));
}

void Connection::close() {
  on_lost_ = nullptr;
  lose({});
}

bool Connection::idle() const {
  return all_written() && nghttp2_session_want_write(session_.get()) == 0 &&
         std::ranges::all_of(streams_,
                             [](const auto& entry) { return entry.second->out.empty() && entry.second->in_pipe == 0; });
}

void Connection::await_idle(std::function<void()> done) {
  on_idle_ = std::move(done);
  tell_of_idleness();
}

// At the next turn: whoever is told may destroy the connection.
void Connection::tell_of_idleness() {
  if (lost_ || unheard_ || idle()) loop_.post([done = std::exchange(on_idle_, nullptr)] { done(); });
}

}  // namespace diatom::channel
