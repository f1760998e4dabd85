#include "process_io.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace diatom::agent {

namespace {
constexpr size_t read_block = 64 << 10;
}

ProcessIo::~ProcessIo() {
  for (Output& output : outputs_) watch_output(output, false);
  if (input_watched_) loop_.forget(input_.get());
}

channel::StreamHandlers ProcessIo::attach_output(channel::StreamId stream, size_t number) {
  Output& output = outputs_[number];
  output.stream = stream;
  output.discarded = false;
  connection_->respond(stream, 200);
  begin_output(output);
  return {.on_status = {},
          .on_data = {},
          .on_end = {},
          .on_writable = [this, &output] { pump_output(output); },
          .on_close =
              [this, &output, stream](bool) {
                if (output.stream != stream) return;
                output.stream = 0;
                output.discarded = true;
                begin_output(output);
                detached();
              }};
}

channel::StreamHandlers ProcessIo::attach_input(channel::StreamId stream) {
  input_stream_ = stream;
  connection_->respond(stream, 200);
  return {.on_status = {},
          .on_data = [this](std::span<const std::byte> data) { take_input(data); },
          .on_end =
              [this] {
                input_ended_ = true;
                write_input();
              },
          .on_writable = {},
          .on_close =
              [this, stream](bool) {
                if (input_stream_ != stream) return;
                input_stream_ = 0;
                input_ended_ = true;
                write_input();
                detached();
              }};
}

void ProcessIo::started(Spawned spawned) {
  running_ = true;
  tty_ = !spawned.stderr_fd;
  input_ = std::move(spawned.stdin_fd);
  outputs_[0].fd = std::move(spawned.stdout_fd);
  outputs_[1].fd = std::move(spawned.stderr_fd);
  for (Output& output : outputs_) begin_output(output);
  write_input();
}

void ProcessIo::not_started() {
  running_ = true;
  for (Output& output : outputs_)
    if (output.stream != 0) end_output(output);
  end_input();
}

void ProcessIo::ended() {
  end_input();
  // The host may leave its side open: it is told that there is nobody.
  if (input_stream_ != 0) connection_->reset(input_stream_);
}

void ProcessIo::close_output(size_t number) { end_output(outputs_[number]); }

void ProcessIo::discard_output() {
  for (Output& output : outputs_) output.discarded = true;
}

void ProcessIo::leave_streams() {
  for (Output& output : outputs_) {
    watch_output(output, false);
    output.stream = 0;
  }
  input_stream_ = 0;
}

bool ProcessIo::idle() const { return input_stream_ == 0 && outputs_[0].stream == 0 && outputs_[1].stream == 0; }

void ProcessIo::detached() {
  if (idle() && on_detached_) on_detached_();
}

// Somebody reads it, or nobody ever will again; until one of the two, it stays in the program's pipe.
void ProcessIo::begin_output(Output& output) {
  if (!running_ || (output.stream == 0 && !output.discarded)) return;
  output.fd ? watch_output(output, true) : end_output(output);
}

void ProcessIo::watch_output(Output& output, bool on) {
  if (on == output.watched || !output.fd) return;
  output.watched = on;
  if (on)
    loop_.on_readable(output.fd.get(), [this, &output] { pump_output(output); });
  else
    loop_.forget(output.fd.get());
}

void ProcessIo::pump_output(Output& output) {
  if (!output.fd) return;
  if (output.stream == 0) return discard(output);
  if (auto moved = connection_->send_from(output.stream, output.fd.get())) return watch_output(output, *moved > 0);
  if (size_t room = connection_->room(output.stream); room > 0) {
    std::array<std::byte, read_block> block;
    ssize_t got = ::read(output.fd.get(), block.data(), std::min(room, block.size()));
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return watch_output(output, true);
    if (got <= 0) return end_output(output);  // the end; EIO from a terminal that nobody has open any more
    connection_->send(output.stream, std::span(block).first(static_cast<size_t>(got)));
  }
  if (output.stream == 0) return;  // the send found the connection gone
  bool full = connection_->room(output.stream) == 0;
  if (full) connection_->await_room(output.stream);
  watch_output(output, !full);
}

// A block a turn: a program that writes without end leaves the loop to the others.
void ProcessIo::discard(Output& output) {
  std::array<std::byte, read_block> block;
  ssize_t got = ::read(output.fd.get(), block.data(), block.size());
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) end_output(output);
}

void ProcessIo::end_output(Output& output) {
  watch_output(output, false);
  output.fd.reset();
  if (output.stream != 0) connection_->finish(output.stream);
}

void ProcessIo::take_input(std::span<const std::byte> data) {
  pending_.append(reinterpret_cast<const char*>(data.data()), data.size());
  write_input();
}

void ProcessIo::write_input() {
  if (!running_) return;  // kept until it runs: the stream's window bounds it
  size_t done = 0;
  while (input_ && done < pending_.size()) {
    ssize_t put = ::write(input_.get(), pending_.data() + done, pending_.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) break;
    if (put < 0) {
      end_input();
      break;
    }
    done += static_cast<size_t>(put);
  }
  if (!input_) done = pending_.size();  // nobody reads it: let the host get rid of it
  pending_.erase(0, done);
  if (done > 0 && input_stream_ != 0) connection_->consume(input_stream_, done);
  bool blocked = input_ && !pending_.empty();
  if (blocked != input_watched_ && input_) {
    input_watched_ = blocked;
    if (!blocked)
      loop_.forget(input_.get());
    else
      loop_.on_writable(input_.get(), [this] { write_input(); });
  }
  if (pending_.empty() && input_ended_) end_input();
}

void ProcessIo::end_input() {
  if (input_watched_) loop_.forget(input_.get());
  input_watched_ = false;
  input_.reset();
  if (input_stream_ != 0) connection_->finish(input_stream_);
}

void ProcessIo::resize(uint16_t rows, uint16_t cols) {
  winsize size{};
  size.ws_row = rows;
  size.ws_col = cols;
  if (tty_ && outputs_[0].fd) ::ioctl(outputs_[0].fd.get(), TIOCSWINSZ, &size);
}

}  // namespace diatom::agent
