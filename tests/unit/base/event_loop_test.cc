#include "base/event_loop.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "base/file.h"
#include "base/platform/platform.h"
#include "support/scratch.h"

namespace diatom {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

// A loop whose test fails rather than hangs.
class EventLoopTest : public testing::Test {
 protected:
  EventLoopTest() : loop_(std::move(*EventLoop::create())) {
    loop_->after(20s, [this] {
      ADD_FAILURE() << "nothing happened within the deadline";
      loop_->stop();
    });
  }
  std::unique_ptr<EventLoop> loop_;
};

TEST_F(EventLoopTest, RunsTimersInTheOrderOfTheirTimesNotOfTheirMaking) {
  std::vector<int> order;
  loop_->after(4ms, [&] {
    order.push_back(3);
    loop_->stop();
  });
  loop_->after(2ms, [&] { order.push_back(2); });
  loop_->after(0ms, [&] { order.push_back(1); });
  ASSERT_TRUE(loop_->run());
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
}

TEST_F(EventLoopTest, ForgetsACancelledTimer) {
  bool rang = false;
  auto timer = loop_->after(1ms, [&] { rang = true; });
  loop_->after(0ms, [&] { loop_->cancel(timer); });
  loop_->after(3ms, [&] { loop_->stop(); });
  ASSERT_TRUE(loop_->run());
  EXPECT_FALSE(rang);
}

TEST_F(EventLoopTest, TellsDataAndEndOfFileAsReadable) {
  auto pipe = platform::make_pipe();
  std::vector<ssize_t> reads;
  loop_->on_readable(pipe->read_end.get(), [&] {
    char buffer[16];
    ssize_t got = ::read(pipe->read_end.get(), buffer, sizeof buffer);
    reads.push_back(got);
    if (got > 0) return pipe->write_end.reset();
    loop_->forget(pipe->read_end.get());
    loop_->stop();
  });
  ASSERT_TRUE(write_all(pipe->write_end.get(), std::string_view("abc")));
  ASSERT_TRUE(loop_->run());
  EXPECT_THAT(reads, ElementsAre(3, 0));
}

TEST_F(EventLoopTest, TellsALostReaderAsWritable) {
  auto pipe = platform::make_pipe();
  ASSERT_EQ(::fcntl(pipe->write_end.get(), F_SETFL, O_NONBLOCK), 0);
  std::string block(65536, 'x');
  while (::write(pipe->write_end.get(), block.data(), block.size()) > 0) {
  }
  int calls = 0;
  loop_->on_writable(pipe->write_end.get(), [&] {
    ++calls;
    loop_->stop();
  });
  loop_->after(1ms, [&] {
    EXPECT_EQ(calls, 0) << "the pipe is full";
    pipe->read_end.reset();
  });
  ASSERT_TRUE(loop_->run());
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, LetsAHandlerForgetItselfAndOthersInTheSameTurn) {
  auto first = platform::make_pipe();
  auto second = platform::make_pipe();
  int calls = 0;
  auto handler = [&] {
    ++calls;
    loop_->forget(first->read_end.get());
    loop_->forget(second->read_end.get());
    loop_->after(0ms, [&] { loop_->stop(); });
  };
  loop_->on_readable(first->read_end.get(), handler);
  loop_->on_readable(second->read_end.get(), handler);
  ASSERT_TRUE(write_all(first->write_end.get(), std::string_view("x")));
  ASSERT_TRUE(write_all(second->write_end.get(), std::string_view("x")));
  ASSERT_TRUE(loop_->run());
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, KeepsOneDirectionWhenTheOtherIsForgotten) {
  auto pair = platform::make_socket_pair();
  std::vector<std::string> seen;
  loop_->on_readable(pair->ours.get(), [&] {
    seen.emplace_back("readable");
    loop_->stop();
  });
  loop_->on_writable(pair->ours.get(), [&] {
    seen.emplace_back("writable");
    loop_->forget_writable(pair->ours.get());
    EXPECT_TRUE(write_all(pair->theirs.get(), std::string_view("x")));
  });
  ASSERT_TRUE(loop_->run());
  EXPECT_THAT(seen, ElementsAre("writable", "readable"));
}

TEST_F(EventLoopTest, RunsWhatOtherThreadsPostInTheirOrder) {
  constexpr int each = 2000;  // more than the pipe that wakes the loop holds in one go
  std::vector<int> got[2];
  int left = 2 * each;
  auto poster = [&](int which) {
    for (int i = 0; i < each; ++i)
      loop_->post([&, which, i] {
        got[which].push_back(i);
        if (--left == 0) loop_->stop();
      });
  };
  std::thread one(poster, 0);
  std::thread two(poster, 1);
  ASSERT_TRUE(loop_->run());
  one.join();
  two.join();
  std::vector<int> expected(each);
  for (int i = 0; i < each; ++i) expected[static_cast<size_t>(i)] = i;
  EXPECT_EQ(got[0], expected);
  EXPECT_EQ(got[1], expected);
}

TEST_F(EventLoopTest, KeepsWhatWasPostedBeforeItRan) {
  loop_->post([&] { loop_->stop(); });
  ASSERT_TRUE(loop_->run());
}

TEST_F(EventLoopTest, CanRunAgainAfterItWasStopped) {
  loop_->after(0ms, [&] { loop_->stop(); });
  ASSERT_TRUE(loop_->run());
  loop_->after(0ms, [&] { loop_->stop(); });
  ASSERT_TRUE(loop_->run());
}

TEST_F(EventLoopTest, HandsSignalsToTheLoopsThreadAndGivesThemBack) {
  std::vector<int> signals;
  for (int signal : {SIGUSR1, SIGUSR2})
    ASSERT_TRUE(loop_->on_signal(signal, [&](int number) {
      signals.push_back(number);
      if (signals.size() == 2) loop_->stop();
    }));
  ::raise(SIGUSR1);
  ::raise(SIGUSR2);
  ASSERT_TRUE(loop_->run());
  EXPECT_THAT(signals, ElementsAre(SIGUSR1, SIGUSR2));
  loop_.reset();
  struct sigaction now{};
  ASSERT_EQ(::sigaction(SIGUSR1, nullptr, &now), 0);
  EXPECT_EQ(now.sa_handler, SIG_DFL);
}

}  // namespace
}  // namespace diatom
