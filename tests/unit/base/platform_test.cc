#include "base/platform/platform.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/unix_socket.h"
#include "support/scratch.h"

namespace diatom {
namespace {

using test::ScratchDirectory;

uint64_t allocated_bytes(const fs::path& path) {
  struct stat status{};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return static_cast<uint64_t>(status.st_blocks) * 512;
}

// Data at each offset, holes between, `size` in all.
void make_sparse(const fs::path& path, const std::vector<uint64_t>& offsets, uint64_t size) {
  UniqueFd fd = open_file(path, O_WRONLY | O_CREAT).value();
  for (uint64_t offset : offsets) ASSERT_TRUE(pwrite_all(fd.get(), test::bytes_of("data"), offset));
  ASSERT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);
}

TEST(CloneFile, KeepsContentSizeAndHoles) {
  struct Case {
    const char* what;
    std::vector<uint64_t> data;
    uint64_t size;
  };
  const Case cases[] = {{"empty", {}, 0},
                        {"one hole", {}, 10 << 20},
                        {"data at the end", {(10 << 20) - 4}, 10 << 20},
                        {"data in the middle", {0, 5 << 20, 7 << 20}, 10 << 20},
                        {"an odd size", {0}, 12'345}};
  for (const Case& one : cases) {
    ScratchDirectory scratch;
    make_sparse(scratch / "from", one.data, one.size);
    auto cloned = platform::clone_file(scratch / "from", scratch / "to");
    ASSERT_TRUE(cloned) << one.what << test::error_of(cloned);
    EXPECT_EQ(read_file(scratch / "to").value(), read_file(scratch / "from").value()) << one.what;
    EXPECT_LE(allocated_bytes(scratch / "to"), (one.data.size() + 1) * 65536) << one.what << ": holes were filled";
  }
}

TEST(CloneFile, TouchesNothingThatIsThereAndLeavesNothingWhenItFails) {
  ScratchDirectory scratch;
  ASSERT_TRUE(replace_file(scratch / "from", "new"));
  ASSERT_TRUE(replace_file(scratch / "to", "old"));
  EXPECT_EQ(platform::clone_file(scratch / "from", scratch / "to").error().code, Errc::already_exists);
  EXPECT_EQ(read_file(scratch / "to").value(), "old");
  EXPECT_EQ(platform::clone_file(scratch / "none", scratch / "other").error().code, Errc::not_found);
  EXPECT_FALSE(platform::clone_file(scratch.path(), scratch / "other")) << "a folder is no file";
  EXPECT_FALSE(fs::exists(scratch / "other"));
}

TEST(ExitEvent, IsReadableOnceTheProcessHasEndedAndNeverReachesAnother) {
  pid_t pid = ::fork();
  if (pid == 0)
    for (;;) ::pause();
  auto event = platform::open_exit_event(pid);
  ASSERT_TRUE(event) << test::error_of(event);
  pollfd poll{event->get(), POLLIN, 0};
  EXPECT_EQ(::poll(&poll, 1, 0), 0);
  EXPECT_EQ(platform::send_signal(*event, pid, SIGKILL), 0);
  EXPECT_EQ(::poll(&poll, 1, 20'000), 1);
  ::waitpid(pid, nullptr, 0);
  EXPECT_EQ(platform::send_signal(*event, pid, SIGKILL), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(SendQuietly, TellsOfAPeerThatHasGoneWithoutASignal) {
  platform::SocketPair pair = platform::make_socket_pair().value();
  EXPECT_EQ(platform::send_quietly(pair.ours.get(), "word", 4), 4);
  pair.theirs.reset();
  EXPECT_EQ(platform::send_quietly(pair.ours.get(), "word", 4), -1);
  EXPECT_EQ(errno, EPIPE);
}

TEST(AcceptConnection, IsCloseOnExecAndBlockingWhateverItsListenerIs) {
  ScratchDirectory scratch;
  UniqueFd listener = listen_on(scratch / "socket").value();
  UniqueFd client = connect_to(scratch / "socket").value();
  UniqueFd accepted = platform::accept_connection(listener);
  ASSERT_TRUE(accepted);
  EXPECT_EQ(::fcntl(accepted.get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(::fcntl(accepted.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_FALSE(platform::accept_connection(listener));
  EXPECT_EQ(errno, EAGAIN);
}

TEST(DeviceNumber, ComesBackAsItWas) {
  for (platform::DeviceNumber number : {platform::DeviceNumber{0, 0}, {1, 3}, {8, 255}, {254, 70'000}}) {
    auto [major, minor] = platform::device_number(platform::make_device(number));
    EXPECT_EQ(major, number.major);
    EXPECT_EQ(minor, number.minor);
  }
}

TEST(HostInfo, SpeaksGoAndCountsAtLeastOneCpu) {
  platform::HostInfo host = platform::host_info();
  EXPECT_THAT(host.os, testing::AnyOf("linux", "darwin"));
  EXPECT_THAT(host.arch, testing::AnyOf("amd64", "arm64", host.machine));
  EXPECT_GE(host.cpus, 1U);
  EXPECT_GT(host.memory_bytes, 64U << 20);
}

TEST(ProbeVirtualisation, IsUsableOrSaysWhyNot) {
  platform::Virtualisation found = platform::probe_virtualisation();
  EXPECT_THAT(found.name, testing::AnyOf("kvm", "hvf"));
  EXPECT_NE(found.usable, !found.reason.empty()) << found.reason;
}

TEST(ExecutablePath, IsThisTest) {
  EXPECT_THAT(platform::code_path()->filename().string(), testing::HasSubstr("base_tests"));
}

}  // namespace
}  // namespace diatom
