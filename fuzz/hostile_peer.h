// The other end of a guest channel, in hostile hands: sends what it was given, reads whatever comes, then hangs up.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>

#include "base/event_loop.h"
#include "base/platform/platform.h"
#include "fuzz.h"

namespace diatom::fuzz {

// Bytes as they are, or records [length][type][flags][stream][payload] that become HTTP/2 frames: most of what a fuzzer
// does to raw frames breaks their lengths, and ends at the first. The type's high bit makes the payload 64 times as
// long.
inline std::string http2_frames(std::string_view input) {
  std::string out;
  while (input.size() >= 4) {
    auto byte = [&input](size_t i) { return static_cast<unsigned char>(input[i]); };
    std::string_view once = input.substr(4, byte(0));
    std::string payload;
    for (int times = (byte(1) & 0x80) != 0 ? 64 : 1; times > 0; --times) payload += once;
    for (int shift : {16, 8, 0}) out += static_cast<char>(payload.size() >> shift);
    out += static_cast<char>(byte(1) & 0x7f);
    out += input[2];
    out += std::string(3, '\0') + input[3];
    out += payload;
    input.remove_prefix(4 + once.size());
  }
  return out;
}

class HostilePeer {
 public:
  HostilePeer(EventLoop& loop, std::string bytes) : loop_(loop), bytes_(std::move(bytes)) {
    auto pair = platform::make_socket_pair();
    REQUIRE(pair);
    victims_ = std::move(pair->ours);
    fd_ = std::move(pair->theirs);
    REQUIRE(::fcntl(fd_.get(), F_SETFL, O_NONBLOCK) == 0);
    loop_.on_readable(fd_.get(), [this] { read(); });
    loop_.on_writable(fd_.get(), [this] { write(); });
  }
  HostilePeer(const HostilePeer&) = delete;
  HostilePeer& operator=(const HostilePeer&) = delete;
  HostilePeer(HostilePeer&&) = delete;
  HostilePeer& operator=(HostilePeer&&) = delete;
  ~HostilePeer() { loop_.forget(fd_.get()); }

  UniqueFd take_victims_end() { return std::move(victims_); }

  // Until something stops the loop, which the victim must see to by itself.
  void run_to_its_end() {
    bool ended = true;
    auto deadline = loop_.after(std::chrono::seconds(10), [this, &ended] {
      ended = false;
      loop_.stop();
    });
    REQUIRE(loop_.run());
    REQUIRE(ended);
    loop_.cancel(deadline);
  }

 private:
  void read() {
    char block[16384];
    ssize_t got = ::read(fd_.get(), block, sizeof block);
    if (got == 0 || (got < 0 && errno != EAGAIN)) loop_.forget(fd_.get());
  }
  void write() {
    ssize_t put = ::send(fd_.get(), bytes_.data() + sent_, bytes_.size() - sent_, MSG_NOSIGNAL);
    if (put < 0 && errno == EAGAIN) return;
    if (put > 0) sent_ += static_cast<size_t>(put);
    if (put >= 0 && sent_ < bytes_.size()) return;
    ::shutdown(fd_.get(), SHUT_WR);
    loop_.forget_writable(fd_.get());
  }

  EventLoop& loop_;
  std::string bytes_;
  size_t sent_ = 0;
  UniqueFd victims_;
  UniqueFd fd_;
};

}  // namespace diatom::fuzz
