#include "runtime/local_stdio.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <thread>

#include "runtime/task.h"
#include "support/fake_guest.h"

namespace diatom {
namespace {

using namespace std::chrono_literals;
using channel::ExitReport;
using test::FakeGuest;
using test::GuestScript;

// A task with a guest that is none, joined to descriptors as `run` does it.
class LocalStdioTest : public testing::Test {
 protected:
  LocalStdioTest() : loop_(test::loop_with_deadline()) { ::signal(SIGPIPE, SIG_IGN); }

  int run(GuestScript script, LocalStdioOptions options) {
    FakeGuest guest(*loop_, std::move(script));
    LocalStdio stdio(*loop_, options);
    TaskPlan plan;
    plan.machine.directory = scratch_.path();
    plan.process.argv = {"program"};
    plan.process.open_stdin = options.open_stdin;
    std::optional<Result<ExitReport>> end;
    Task task(
        *loop_, plan,
        {.on_stage = {},
         .on_started = [&] { stdio.started(); },
         .on_output = [&](channel::Output output, std::span<const std::byte> data) { stdio.output(output, data); },
         .on_output_end = {},
         .on_stdin_writable = [&] { stdio.stdin_writable(); },
         .on_end =
             [&](Result<ExitReport> report) {
               end = std::move(report);
               stdio.drain([&] { loop_->stop(); });
             }});
    stdio.attach(task);
    EXPECT_TRUE(task.start(guest));
    if (during_) during_(guest);
    EXPECT_TRUE(loop_->run());
    output_refused_ = guest.output_refused;
    return end && *end ? (*end)->code : -1;
  }

  test::ScratchDirectory scratch_;
  std::unique_ptr<EventLoop> loop_;
  std::function<void(FakeGuest&)> during_;
  bool output_refused_ = false;
};

// Reads a descriptor to its end on a thread of its own.
class Reader {
 public:
  explicit Reader(UniqueFd fd)
      : thread_([this, own = std::move(fd)] {
          char buffer[5000];
          for (ssize_t got; (got = ::read(own.get(), buffer, sizeof buffer)) > 0;)
            text_.append(buffer, static_cast<size_t>(got));
        }) {}
  std::string text() {
    thread_.join();
    return text_;
  }

 private:
  std::string text_;
  std::thread thread_;
};

TEST_F(LocalStdioTest, KeepsTheTwoOutputsApart) {
  auto out = platform::make_pipe();
  auto err = platform::make_pipe();
  Reader read_out(std::move(out->read_end));
  Reader read_err(std::move(err->read_end));
  EXPECT_EQ(
      run({.bad_container = {}, .out = test::noise(1 << 20), .err = test::noise(300'000, 5), .exit = ExitReport{4}},
          {.stdout_fd = out->write_end.get(), .stderr_fd = err->write_end.get()}),
      4);
  out->write_end.reset();
  err->write_end.reset();
  EXPECT_TRUE(read_out.text() == test::noise(1 << 20));
  EXPECT_TRUE(read_err.text() == test::noise(300'000, 5));
}

TEST_F(LocalStdioTest, WritesAllIntoFiles) {
  UniqueFd out = test::scratch_file();
  UniqueFd err = test::scratch_file();
  EXPECT_EQ(run({.bad_container = {}, .out = test::noise(1 << 20), .err = "e", .exit = ExitReport{}},
                {.stdout_fd = out.get(), .stderr_fd = err.get()}),
            0);
  EXPECT_TRUE(test::content_of(out.get()) == test::noise(1 << 20));
  EXPECT_EQ(test::content_of(err.get()), "e");
}

TEST_F(LocalStdioTest, CarriesInputFromPipesAndFiles) {
  std::string text = test::noise(1 << 20);
  UniqueFd file = test::scratch_file(text);
  ASSERT_EQ(::lseek(file.get(), 0, SEEK_SET), 0);
  UniqueFd out = test::scratch_file();
  UniqueFd err = test::scratch_file();
  EXPECT_EQ(run({.bad_container = {}, .echo = true},
                {.stdin_fd = file.get(), .stdout_fd = out.get(), .stderr_fd = err.get(), .open_stdin = true}),
            0);
  EXPECT_TRUE(test::content_of(out.get()) == text);

  auto in = platform::make_pipe();
  std::thread writer([&] {
    EXPECT_TRUE(write_all(in->write_end.get(), text));
    in->write_end.reset();
  });
  UniqueFd again = test::scratch_file();
  EXPECT_EQ(run({.bad_container = {}, .echo = true},
                {.stdin_fd = in->read_end.get(), .stdout_fd = again.get(), .stderr_fd = err.get(), .open_stdin = true}),
            0);
  writer.join();
  EXPECT_TRUE(test::content_of(again.get()) == text);
}

TEST_F(LocalStdioTest, LeavesInputAloneThatWasNotOffered) {
  UniqueFd in = test::scratch_file("not for the program");
  ASSERT_EQ(::lseek(in.get(), 0, SEEK_SET), 0);
  UniqueFd out = test::scratch_file();
  EXPECT_EQ(run({.bad_container = {}, .exit = ExitReport{}},
                {.stdin_fd = in.get(), .stdout_fd = out.get(), .stderr_fd = out.get(), .open_stdin = false}),
            0);
  EXPECT_EQ(::lseek(in.get(), 0, SEEK_CUR), 0);
}

TEST_F(LocalStdioTest, TellsTheProgramThatItsReaderHasGoneAndGoesOn) {
  auto out = platform::make_pipe();
  out->read_end.reset();
  auto err = platform::make_pipe();
  Reader read_err(std::move(err->read_end));
  during_ = [this](FakeGuest& guest) { loop_->after(30ms, [&guest] { guest.end_program({141, 13}); }); };
  EXPECT_EQ(run({.bad_container = {}, .out = test::noise(2 << 20), .err = "still heard"},
                {.stdout_fd = out->write_end.get(), .stderr_fd = err->write_end.get()}),
            141);
  err->write_end.reset();
  EXPECT_TRUE(output_refused_);
  EXPECT_EQ(read_err.text(), "still heard");
}

TEST_F(LocalStdioTest, WritesOutEverythingAfterTheEndForASlowReader) {
  auto out = platform::make_pipe();
  UniqueFd err = test::scratch_file();
  // The pipe holds 64 KiB: the rest waits here when the program has long ended.
  std::string text = test::noise(200'000);
  loop_->after(30ms, [&] {
    EXPECT_EQ(::fcntl(out->read_end.get(), F_SETFL, O_NONBLOCK), 0);
    loop_->on_readable(out->read_end.get(), [&] {
      char buffer[3000];
      ssize_t got = ::read(out->read_end.get(), buffer, sizeof buffer);
      EXPECT_TRUE(write_all(err.get(), std::string_view(buffer, static_cast<size_t>(std::max<ssize_t>(got, 0)))));
    });
  });
  UniqueFd nothing = test::scratch_file();
  EXPECT_EQ(run({.bad_container = {}, .out = text, .exit = ExitReport{}},
                {.stdout_fd = out->write_end.get(), .stderr_fd = nothing.get()}),
            0);
  loop_->forget(out->read_end.get());
  out->write_end.reset();
  std::string got = test::content_of(err.get());
  char buffer[65536];
  for (ssize_t more; (more = ::read(out->read_end.get(), buffer, sizeof buffer)) > 0;)
    got.append(buffer, static_cast<size_t>(more));
  EXPECT_TRUE(got == text) << got.size();
}

TEST_F(LocalStdioTest, CanHaveOneDescriptorForEverything) {
  auto pair = platform::make_socket_pair();
  ASSERT_TRUE(write_all(pair->theirs.get(), std::string_view("typed")));
  ASSERT_EQ(::shutdown(pair->theirs.get(), SHUT_WR), 0);
  int all = pair->ours.get();
  EXPECT_EQ(run({.bad_container = {}, .out = "out", .err = "err", .echo = true},
                {.stdin_fd = all, .stdout_fd = all, .stderr_fd = all, .open_stdin = true}),
            0);
  pair->ours.reset();
  Reader reader(std::move(pair->theirs));
  std::string text = reader.text();
  EXPECT_EQ(text.size(), std::string_view("outerrtyped").size()) << text;
  for (const char* part : {"out", "err", "typed"}) EXPECT_THAT(text, testing::HasSubstr(part));
}

TEST(TerminalSizeOf, IsNoneForWhatIsNoTerminal) {
  UniqueFd file = test::scratch_file();
  EXPECT_FALSE(terminal_size(file.get()));
  EXPECT_FALSE(terminal_size(-1));
}

}  // namespace
}  // namespace diatom
