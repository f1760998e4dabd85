// A NIC's frames over a Unix stream socket, each behind its length (four bytes, big-endian): what QEMU's stream netdev,
// passt and libkrun's unixstream NICs speak. Datagrams would be simpler, but libkrun takes a full socket of those for a
// failure and loses the guest's buffer with the frame: a guest that sends faster than we read would soon have none
// left.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

namespace diatom::net {

using Frame = std::span<const std::byte>;  // Ethernet: from the destination's address on, without a checksum

// Never waits. For one thread.
class FrameStream {
 public:
  static constexpr size_t max_frame_bytes = (64 << 10) + 14;

  explicit FrameStream(UniqueFd socket);
  int fd() const { return socket_.get(); }

  // Reads once, and hands out the frames that are whole. False: the peer has closed. Errors: guest, of a length that no
  // NIC sends; what follows cannot be told apart any more.
  Result<bool> receive(const std::function<void(Frame)>& handler);

  // Queues a frame for flush(). It is dropped, as by any full network, when the peer has left too much in the queue.
  void send(Frame frame);
  // Writes as much of the queue as the socket takes. False: the peer has closed.
  Result<bool> flush();
  bool has_queued() const { return sent_ < queue_.size(); }

 private:
  UniqueFd socket_;
  std::vector<std::byte> input_;
  size_t input_bytes_ = 0;  // of input_, read and not handed out yet
  std::vector<std::byte> queue_;
  size_t sent_ = 0;  // of queue_
};

}  // namespace diatom::net
