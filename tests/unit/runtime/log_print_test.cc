#include "runtime/logs/print.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "base/clock.h"
#include "base/platform/platform.h"
#include "runtime/logs/writer.h"
#include "support/scratch.h"

namespace diatom {
namespace {

using channel::Output;
constexpr Output out = Output::stdout_stream;
constexpr Output err = Output::stderr_stream;
constexpr int64_t second = 1'000'000'000;

class LogPrintTest : public testing::Test {
 protected:
  LogPrintTest() : log_(std::move(*LogWriter::open(path_, {}))) {}

  void put(std::string_view text, int64_t time_ns = second, Output stream = out) {
    log_.append(stream, test::bytes_of(text), time_ns);
  }
  // stderr's in brackets.
  std::string print(const LogQuery& query, const LogFollow& follow = {}) {
    std::string text;
    auto sink = [&](Output stream, std::string_view bytes) -> Result<> {
      text += stream == out ? std::string(bytes) : "[" + std::string(bytes) + "]";
      return {};
    };
    auto printed = print_logs(path_, query, sink, follow);
    EXPECT_TRUE(printed) << test::error_of(printed);
    return text;
  }

  test::ScratchDirectory scratch_{test::memory_directory()};
  fs::path path_ = scratch_ / "container.log";
  LogWriter log_;
};

TEST_F(LogPrintTest, ShowsWhatTheQueryAsksFor) {
  put("one\n", 1 * second);
  put("oops\n", 2 * second, err);
  put("two\n", 3 * second);
  put("thr", 4 * second);
  put("ee\n", 5 * second);
  const std::tuple<const char*, LogQuery, std::string> cases[] = {
      {"all", {}, "one\n[oops\n]two\nthree\n"},
      {"stdout", {.show_stderr = false}, "one\ntwo\nthree\n"},
      {"stderr", {.show_stdout = false}, "[oops\n]"},
      {"tail", {.tail = 2}, "two\nthree\n"},
      {"tail counts both streams", {.tail = 3, .show_stdout = false}, "[oops\n]"},
      {"no tail", {.tail = 0}, ""},
      {"since", {.since_ns = 3 * second}, "two\nthree\n"},
      {"until", {.until_ns = 2 * second}, "one\n"},
      {"since and until", {.since_ns = 2 * second, .until_ns = 4 * second}, "[oops\n]two\n"},
      {"times, at beginnings of lines only",
       {.timestamps = true},
       "1970-01-01T00:00:01.000000000Z one\n[1970-01-01T00:00:02.000000000Z oops\n]"
       "1970-01-01T00:00:03.000000000Z two\n1970-01-01T00:00:04.000000000Z three\n"},
  };
  for (const auto& [name, query, text] : cases) EXPECT_EQ(print(query), text) << name;
}

TEST_F(LogPrintTest, AStreamsLineGoesOnBehindTheOthers) {
  put("a");
  put("x\n", second, err);
  put("b\n");
  EXPECT_EQ(print({.timestamps = true}), "1970-01-01T00:00:01.000000000Z a[1970-01-01T00:00:01.000000000Z x\n]b\n");
}

TEST_F(LogPrintTest, ALogThatIsNotThereIsEmpty) {
  fs::remove(path_);
  EXPECT_EQ(print({}), "");
  EXPECT_EQ(print({.tail = 3}), "");
}

TEST_F(LogPrintTest, TheSinksErrorEndsIt) {
  put("text\n");
  auto printed =
      print_logs(path_, {}, [](Output, std::string_view) -> Result<> { return fail(Errc::internal, "no"); }, {});
  EXPECT_EQ(test::error_of(printed), "no");
}

// Follows in a thread of its own; what it has printed arrives in a pipe.
class LogFollowTest : public LogPrintTest {
 protected:
  void follow(LogQuery query, LogFollow how = {}) {
    query.follow = true;
    how.stop_fd = stop_.read_end.get();
    if (how.ended_fd < 0) how.ended_fd = ended_.read_end.get();
    result_ = std::async(std::launch::async, [this, query, how] {
      auto result = print_logs(path_, query, log_sink(shown_.write_end.get(), shown_.write_end.get()), how);
      shown_.write_end.reset();
      return result;
    });
  }
  // Blocks; the test's own time limit ends one that waits in vain.
  std::string shown(size_t bytes) {
    std::string text(bytes, '\0');
    text.resize(read_full(shown_.read_end.get(), std::as_writable_bytes(std::span(text))).value_or(0));
    return text;
  }
  std::string rest() { return shown(1 << 20); }

  platform::Pipe shown_ = std::move(*platform::make_pipe());
  platform::Pipe stop_ = std::move(*platform::make_pipe());
  platform::Pipe ended_ = std::move(*platform::make_pipe());
  std::future<Result<>> result_;
};

TEST_F(LogFollowTest, ShowsWhatComesUntilItHasEnded) {
  put("before\n");
  follow({});
  EXPECT_EQ(shown(7), "before\n");
  for (int i = 0; i < 100; ++i) {
    put("line\n");
    ASSERT_EQ(shown(5), "line\n") << i;
  }
  put("last");
  ended_.write_end.reset();
  EXPECT_EQ(rest(), "last");
  EXPECT_TRUE(result_.get());
}

TEST_F(LogFollowTest, GoesFromFileToFile) {
  log_ = std::move(*LogWriter::open(path_, {.max_bytes = 400, .max_files = 3}));
  follow({});
  for (int i = 0; i < 100; ++i) {
    std::string line = "line " + std::to_string(i) + "\n";
    put(line);
    ASSERT_EQ(shown(line.size()), line);
  }
  EXPECT_GT(log_.position().generation, 10u);
  ended_.write_end.reset();
  EXPECT_EQ(rest(), "");
}

TEST_F(LogFollowTest, WaitsForALogThatIsNotThereYet) {
  fs::remove(path_);
  follow({});
  log_ = std::move(*LogWriter::open(path_, {}));
  put("first\n");
  EXPECT_EQ(shown(6), "first\n");
  ended_.write_end.reset();
}

TEST_F(LogFollowTest, StopsWhenItIsToldTo) {
  put("before\n");
  follow({});
  EXPECT_EQ(shown(7), "before\n");
  ASSERT_TRUE(write_all(stop_.write_end.get(), std::string_view("x")));
  EXPECT_EQ(rest(), "");
  EXPECT_TRUE(result_.get());
}

TEST_F(LogFollowTest, AsksWhetherItHasEndedWhenAnotherFileChanges) {
  fs::path record = scratch_ / "record";
  ASSERT_TRUE(replace_file(record, "running"));
  // A folder of its own, so that the record alone tells of its change.
  fs::path folder = scratch_ / "logs";
  ASSERT_TRUE(make_directories(folder));
  path_ = folder / "container.log";
  log_ = std::move(*LogWriter::open(path_, {}));
  put("text\n");
  follow({}, {.ended = [&] { return read_file(record).value() == "ended"; }, .watch = {record}});
  EXPECT_EQ(shown(5), "text\n");
  put("last\n");
  UniqueFd fd = std::move(*open_file(record, O_WRONLY | O_TRUNC));
  ASSERT_TRUE(write_all(fd.get(), std::string_view("ended")));
  EXPECT_EQ(rest(), "last\n");
}

TEST_F(LogFollowTest, EndsWithTheTimeThatWasAskedFor) {
  int64_t now = wall_clock_ns();
  put("early\n", now - second);
  put("late\n", now + 3600 * second);
  follow({.until_ns = now + second / 20});
  EXPECT_EQ(rest(), "early\n");
}

}  // namespace
}  // namespace diatom
