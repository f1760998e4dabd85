#include "base/child.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include <cstdio>

#include "base/platform/platform.h"
#include "support/scratch.h"

namespace diatom {
namespace {

using namespace std::chrono_literals;
using test::ScratchDirectory;
constexpr auto deadline = 20s;

std::string read_to_end(UniqueFd fd) {
  std::string all;
  char buffer[4096];
  for (ssize_t got; (got = ::read(fd.get(), buffer, sizeof buffer)) > 0;) all.append(buffer, static_cast<size_t>(got));
  return all;
}

// Runs a shell script with its stdout in a pipe and returns what it wrote.
std::string output_of(ChildOptions options) {
  auto pipe = platform::make_pipe();
  options.fds.emplace_back(pipe->write_end.get(), 1);
  auto child = Child::spawn(options);
  pipe->write_end.reset();
  EXPECT_TRUE(child) << test::error_of(child);
  return read_to_end(std::move(pipe->read_end));
}

TEST(Child, TellsHowTheProgramEnded) {
  struct Case {
    const char* script;
    int code;
    int signal;
  };
  const Case cases[] = {
      {"exit 0", 0, 0}, {"exit 7", 7, 0}, {"exit 255", 255, 0}, {"kill -TERM $$", 143, 15}, {"kill -KILL $$", 137, 9}};
  for (const auto& [script, code, signal] : cases) {
    auto child = Child::spawn({.argv = {"sh", "-c", script}, .environment = {}, .fds = {}});
    ASSERT_TRUE(child) << test::error_of(child);
    auto status = child->wait_for(deadline);
    ASSERT_TRUE(status && *status) << script;
    EXPECT_EQ((*status)->code, code) << script;
    EXPECT_EQ((*status)->signal, signal) << script;
  }
}

TEST(Child, FailsWithNotFoundWhenThereIsNoSuchProgram) {
  for (std::string program : {"diatom-no-such-program", "/no/such/program", "./no-such-program"}) {
    auto child = Child::spawn({.argv = {program}, .environment = {}, .fds = {}});
    ASSERT_FALSE(child) << program;
    EXPECT_EQ(child.error().code, Errc::not_found) << program;
    EXPECT_THAT(child.error().message, testing::HasSubstr(program));
  }
}

TEST(Child, FailsWithTheReasonWhenAFileCannotBeExecuted) {
  ScratchDirectory scratch;
  ASSERT_TRUE(replace_file(scratch / "text", "no program\n"));
  auto child = Child::spawn({.argv = {scratch / "text"}, .environment = {}, .fds = {}});
  ASSERT_FALSE(child);
  EXPECT_THAT(child.error().message, testing::HasSubstr("Permission denied"));
}

TEST(Child, GetsNothingButTheDescriptorsItWasGiven) {
  auto null = open_file("/dev/null", O_RDONLY);
  ASSERT_EQ(::dup3(null->get(), 9, O_CLOEXEC), 9);
  UniqueFd nine(9);
  auto given = test::scratch_file("given");
  ASSERT_EQ(::lseek(given.get(), 0, SEEK_SET), 0);  // the child shares the offset with us
  std::string listing =
      output_of({.argv = {"sh", "-c", "for n in 5 9; do [ -e /proc/self/fd/$n ] && echo $n; done; cat <&5"},
                 .environment = {},
                 .fds = {{given.get(), 5}}});
  EXPECT_EQ(listing, "5\ngiven");
}

TEST(Child, CanSwapItsDescriptors) {
  // 3 becomes 4 and 4 becomes 3: no dup2 may overwrite what another still needs.
  auto first = platform::make_pipe();
  auto second = platform::make_pipe();
  int a = first->read_end.get();
  int b = second->read_end.get();
  ASSERT_TRUE(write_all(first->write_end.get(), std::string_view("a")));
  ASSERT_TRUE(write_all(second->write_end.get(), std::string_view("b")));
  first->write_end.reset();
  second->write_end.reset();
  std::string script = "cat <&" + std::to_string(a) + "; cat <&" + std::to_string(b);
  EXPECT_EQ(output_of({.argv = {"bash", "-c", script}, .environment = {}, .fds = {{a, b}, {b, a}}}), "ba");
}

TEST(Child, HasAnEnvironmentOfItsOwnWhenAskedTo) {
  EXPECT_EQ(
      output_of(
          {.argv = {"/usr/bin/env"}, .environment = {"A=1", "B=two words"}, .inherit_environment = false, .fds = {}}),
      "A=1\nB=two words\n");
  ASSERT_EQ(::setenv("DIATOM_TEST_INHERITED", "yes", 1), 0);
  EXPECT_EQ(output_of({.argv = {"sh", "-c", "echo $DIATOM_TEST_INHERITED"}, .environment = {}, .fds = {}}), "yes\n");
}

TEST(Child, StartsWithDefaultSignalsAndNoneBlocked) {
  sigset_t usr1;
  sigset_t before;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &usr1, &before);
  auto* old = ::signal(SIGPIPE, SIG_IGN);
  std::string status =
      output_of({.argv = {"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"}, .environment = {}, .fds = {}});
  ::signal(SIGPIPE, old);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  unsigned long blocked = ~0UL;
  unsigned long ignored = ~0UL;
  ASSERT_EQ(std::sscanf(status.c_str(), "SigBlk: %lx SigIgn: %lx", &blocked, &ignored), 2) << status;
  // 32 and 33 are glibc's own, which nobody may touch; whoever started the tests may have had them ignored.
  constexpr unsigned long glibcs_own = 3UL << 31;
  EXPECT_EQ(blocked, 0UL) << status;
  EXPECT_EQ(ignored & ~glibcs_own, 0UL) << status;
}

TEST(Child, IsKilledAndReapedByItsOwner) {
  pid_t pid = 0;
  UniqueFd event;
  {
    auto child = Child::spawn({.argv = {"sleep", "1000"}, .environment = {}, .fds = {}});
    ASSERT_TRUE(child);
    pid = child->pid();
    event = UniqueFd(::dup(child->pollable()));
    pollfd poll{event.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&poll, 1, 0), 0) << "it has ended by itself";
  }
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(Child, MovesWithItsOwnership) {
  auto first = Child::spawn({.argv = {"sh", "-c", "exit 3"}, .environment = {}, .fds = {}});
  ASSERT_TRUE(first);
  Child second = std::move(*first);
  EXPECT_EQ(first->pid(), -1);
  EXPECT_EQ(second.wait()->code, 3);
}

TEST(Child, WaitsNoLongerThanItWasTold) {
  auto child = Child::spawn({.argv = {"sleep", "1000"}, .environment = {}, .fds = {}});
  ASSERT_TRUE(child);
  auto status = child->wait_for(1ms);
  ASSERT_TRUE(status);
  EXPECT_FALSE(*status);
  child->kill(SIGTERM);
  status = child->wait_for(deadline);
  ASSERT_TRUE(status && *status);
  EXPECT_EQ((*status)->signal, SIGTERM);
}

TEST(RunCommand, CollectsBothStreamsAndTheCode) {
  auto out = run_command({"sh", "-c", "echo out; echo err >&2; exit 4"}, deadline);
  ASSERT_TRUE(out) << test::error_of(out);
  EXPECT_EQ(out->output, "out\nerr\n");
  EXPECT_EQ(out->status.code, 4);
}

TEST(RunCommand, KeepsAMebibyteOfEndlessOutputAndReadsTheRest) {
  auto out = run_command({"sh", "-c", "yes | head -c 3000000"}, deadline);
  ASSERT_TRUE(out) << test::error_of(out);
  EXPECT_EQ(out->status.code, 0);
  EXPECT_GE(out->output.size(), size_t{1} << 20);
  EXPECT_LE(out->output.size(), (size_t{1} << 20) + 4096);
}

TEST(RunCommand, EndsWhatTakesTooLong) {
  auto out = run_command({"sleep", "1000"}, 20ms);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, Errc::timeout);
}

TEST(FindProgram, LooksIntoPathAndThenWhereMke2fsLives) {
  ScratchDirectory scratch;
  ASSERT_TRUE(replace_file(scratch / "diatom-tool", "#!/bin/sh\n"));
  ASSERT_TRUE(make_directories(scratch / "diatom-folder"));
  std::string before = ::getenv("PATH");
  ::setenv("PATH", scratch.path().c_str(), 1);
  EXPECT_EQ(find_program("diatom-tool"), std::nullopt) << "it is not executable";
  ASSERT_EQ(::chmod((scratch / "diatom-tool").c_str(), 0700), 0);
  EXPECT_EQ(find_program("diatom-tool"), (scratch / "diatom-tool").string());
  EXPECT_EQ(find_program("diatom-folder"), std::nullopt) << "a folder is no program";
  ::setenv("PATH", before.c_str(), 1);
  EXPECT_EQ(find_program("/any/path"), "/any/path");
}

}  // namespace
}  // namespace diatom
