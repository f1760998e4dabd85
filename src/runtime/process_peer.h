#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "channel/agent_client.h"

namespace diatom {

// A program at the other end of a channel, as somebody sees it who carries its streams.
class ProcessPeer {
 public:
  virtual ~ProcessPeer() = default;
  virtual size_t write_stdin(std::span<const std::byte> data) = 0;  // returns what it took; it says when there is room
  virtual void close_stdin() = 0;
  virtual void consumed(channel::Output output, size_t bytes) = 0;
  virtual void close_output(channel::Output output) = 0;  // nobody reads it any more
  virtual void resize(uint16_t rows, uint16_t cols) = 0;
};

}  // namespace diatom
