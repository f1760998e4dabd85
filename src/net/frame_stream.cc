#include "net/frame_stream.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace diatom::net {

namespace {

constexpr size_t length_bytes = 4;
constexpr size_t input_limit = 256 << 10;  // of one read
// What TCP has under way to the guest is 64 KiB a connection: this is room for many, and an end for a guest that
// does not read.
constexpr size_t queue_limit = 4 << 20;
constexpr int socket_buffer_bytes = 1 << 20;

static_assert(input_limit >= length_bytes + FrameStream::max_frame_bytes, "a whole frame fits");

size_t length_at(const std::byte* header) {
  size_t length = 0;
  for (size_t i = 0; i < length_bytes; ++i) length = length << 8 | std::to_integer<size_t>(header[i]);
  return length;
}

bool is_closed(int error) { return error == EPIPE || error == ECONNRESET; }
bool would_wait(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ENOBUFS; }

}  // namespace

FrameStream::FrameStream(UniqueFd socket) : socket_(std::move(socket)), input_(input_limit) {
  // A wish: the system may give less.
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUF, &socket_buffer_bytes, sizeof socket_buffer_bytes);
}

Result<bool> FrameStream::receive(const std::function<void(Frame)>& handler) {
  ssize_t got = ::recv(socket_.get(), input_.data() + input_bytes_, input_.size() - input_bytes_, MSG_DONTWAIT);
  if (got == 0) return false;
  if (got < 0 && is_closed(errno)) return false;
  if (got < 0) return would_wait(errno) ? Result<bool>(true) : fail_errno("read from the guest's NIC");
  input_bytes_ += static_cast<size_t>(got);

  size_t begin = 0;
  while (input_bytes_ - begin >= length_bytes) {
    size_t length = length_at(&input_[begin]);
    if (length > max_frame_bytes)
      return fail(Errc::guest, "read from the guest's NIC: a frame of " + std::to_string(length) + " bytes");
    if (input_bytes_ - begin - length_bytes < length) break;
    handler(Frame(input_).subspan(begin + length_bytes, length));
    begin += length_bytes + length;
  }
  input_bytes_ -= begin;
  std::memmove(input_.data(), input_.data() + begin, input_bytes_);
  return true;
}

void FrameStream::send(Frame frame) {
  if (frame.size() > max_frame_bytes || queue_.size() - sent_ + length_bytes + frame.size() > queue_limit) return;
  for (int shift = 24; shift >= 0; shift -= 8) queue_.push_back(static_cast<std::byte>(frame.size() >> shift & 0xff));
  queue_.insert(queue_.end(), frame.begin(), frame.end());
}

Result<bool> FrameStream::flush() {
  while (has_queued()) {
    ssize_t put = ::send(socket_.get(), queue_.data() + sent_, queue_.size() - sent_, MSG_DONTWAIT);
    if (put < 0 && is_closed(errno)) return false;
    if (put < 0 && !would_wait(errno)) return fail_errno("write to the guest's NIC");
    if (put < 0) break;
    sent_ += static_cast<size_t>(put);
  }
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(sent_));
  sent_ = 0;
  return true;
}

}  // namespace diatom::net
