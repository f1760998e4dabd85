#include "net/frame_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "base/file.h"
#include "base/platform/platform.h"
#include "support/ethernet.h"

namespace diatom::net {
namespace {

using test::as_frame;
using test::be32;
using testing::ElementsAre;

std::string framed(const std::string& frame) { return be32(frame.size()) + frame; }

struct Pair {
  Pair() : Pair(*platform::make_socket_pair()) {}
  explicit Pair(platform::SocketPair pair) : peer(std::move(pair.theirs)), stream(std::move(pair.ours)) {}

  // False once the peer has closed.
  bool receive() {
    auto open = stream.receive(
        [this](Frame frame) { received.emplace_back(reinterpret_cast<const char*>(frame.data()), frame.size()); });
    EXPECT_TRUE(open) << open.error().message;
    return open && *open;
  }

  UniqueFd peer;
  FrameStream stream;
  std::vector<std::string> received;
};

TEST(FrameStream, ReadsFramesHoweverTheyAreCut) {
  Pair pair;
  std::string large(FrameStream::max_frame_bytes, 'x');
  std::string bytes = framed("first") + framed("") + framed(large) + framed("last");
  EXPECT_TRUE(pair.receive());  // there is nothing
  for (size_t begin = 0; begin < bytes.size(); begin += 1001) {
    ASSERT_TRUE(write_all(pair.peer.get(), std::string_view(bytes).substr(begin, 1001)));
    EXPECT_TRUE(pair.receive());
  }
  EXPECT_THAT(pair.received, ElementsAre("first", "", large, "last"));
  pair.peer.reset();
  EXPECT_FALSE(pair.receive());
}

TEST(FrameStream, RefusesALengthThatNoFrameHas) {
  Pair pair;
  ASSERT_TRUE(write_all(pair.peer.get(), framed("good") + be32(FrameStream::max_frame_bytes + 1)));
  int frames = 0;
  auto open = pair.stream.receive([&](Frame) { ++frames; });
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().code, Errc::guest);
  EXPECT_THAT(open.error().message, testing::HasSubstr("65551 bytes"));
  EXPECT_EQ(frames, 1);
}

TEST(FrameStream, QueuesWhatThePeerDoesNotTakeAndDropsWhatIsTooMuch) {
  Pair pair;
  std::string frame(1400, 'x');
  size_t sent = 0;
  for (; sent < 5000; ++sent) {
    pair.stream.send(as_frame(frame));
    ASSERT_TRUE(pair.stream.flush());
  }
  ASSERT_TRUE(pair.stream.has_queued());

  FrameStream peer(std::move(pair.peer));
  size_t whole = 0;
  for (size_t before = 1; before != whole;) {  // what the socket held, then what was queued
    before = whole;
    ASSERT_TRUE(peer.receive([&](Frame got) { whole += got.size() == frame.size() ? 1 : 0; }));
    ASSERT_TRUE(pair.stream.flush());
  }
  EXPECT_FALSE(pair.stream.has_queued());
  EXPECT_GT(whole, 2900U);  // 4 MiB and a socket's buffer
  EXPECT_LT(whole, sent);
}

TEST(FrameStream, NoticesWhenItsPeerHasClosedWhileItWrites) {
  ::signal(SIGPIPE, SIG_IGN);
  Pair pair;
  pair.peer.reset();
  pair.stream.send(as_frame("frame"));
  auto open = pair.stream.flush();
  ::signal(SIGPIPE, SIG_DFL);
  ASSERT_TRUE(open);
  EXPECT_FALSE(*open);
}

}  // namespace
}  // namespace diatom::net
