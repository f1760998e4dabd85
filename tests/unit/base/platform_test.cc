#include "base/platform/platform.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

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

#ifdef __linux__
TEST(LowerThreadPriority, IsTheThreadsAlone) {
  int ours = ::getpriority(PRIO_PROCESS, 0);
  int lower = 0;
  std::thread([&] {
    platform::lower_thread_priority();
    lower = ::getpriority(PRIO_PROCESS, 0);
  }).join();
  EXPECT_EQ(lower, std::min(ours + 4, 19));
  EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), ours);
}
#endif

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

#ifdef __linux__

// A process that maps the file privately, writes to its second page and waits for its end.
class CopyProcessMemory : public testing::Test {
 protected:
  void SetUp() override {
    page_ = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    make_sparse(base_, {0}, 4 * page_);
  }
  void TearDown() override {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  void start(bool of_file) {
    UniqueFd file = open_file(base_, O_RDONLY).value();
    int flags = MAP_PRIVATE | (of_file ? 0 : MAP_ANONYMOUS);
    auto* memory =
        static_cast<char*>(::mmap(nullptr, 4 * page_, PROT_READ | PROT_WRITE, flags, of_file ? file.get() : -1, 0));
    ASSERT_NE(memory, MAP_FAILED);
    address_ = reinterpret_cast<uintptr_t>(memory);
    auto ready = platform::make_pipe().value();
    child_ = ::fork();
    if (child_ == 0) {
      memory[page_] = 'x';
      memory[2 * page_] = 0;  // written to, and still zero
      ready.write_end.reset();
      ::pause();
      ::_exit(0);
    }
    ::munmap(memory, 4 * page_);
    ready.write_end.reset();
    char none = 0;
    EXPECT_EQ(::read(ready.read_end.get(), &none, 1), 0);
  }
  std::string expected(bool of_file) const {
    std::string text = of_file ? "data" : std::string(4, '\0');
    text.resize(4 * page_);
    text[page_] = 'x';
    return text;
  }

  ScratchDirectory scratch_;
  fs::path base_ = scratch_.path() / "base";
  fs::path copy_ = scratch_.path() / "copy";
  size_t page_ = 0;
  uint64_t address_ = 0;
  pid_t child_ = -1;
};

TEST_F(CopyProcessMemory, IsTheFileWithWhatWasWritten) {
  start(true);
  UniqueFd base = open_file(base_, O_RDONLY).value();
  fs::remove(base_);  // it is needed no more
  auto copied = platform::copy_process_memory(child_, address_, 4 * page_, base.get(), copy_);
  ASSERT_TRUE(copied) << copied.error().message;
  EXPECT_TRUE(read_file(copy_).value() == expected(true));
}

TEST_F(CopyProcessMemory, HasHolesWhereThereIsNothing) {
  start(false);
  auto copied = platform::copy_process_memory(child_, address_, 4 * page_, -1, copy_);
  ASSERT_TRUE(copied) << copied.error().message;
  EXPECT_TRUE(read_file(copy_).value() == expected(false));
  EXPECT_LE(allocated_bytes(copy_), page_);
}

TEST_F(CopyProcessMemory, FailsWhereTheProcessHasGone) {
  start(false);
  TearDown();
  EXPECT_FALSE(platform::copy_process_memory(std::exchange(child_, -1), address_, 4 * page_, -1, copy_));
}

#ifdef __x86_64__

// A process that waits for a word, as `wait` does, and then says what is in the memory.
std::string seen_after_mapping(char (*wait)(int pipe)) {
  ScratchDirectory scratch;
  auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  UniqueFd file = open_file(scratch.path() / "file", O_RDWR | O_CREAT).value();
  EXPECT_TRUE(write_all(file.get(), std::string(page, 'f')));
  auto* memory = static_cast<char*>(::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  *memory = 'a';
  auto word = platform::make_pipe().value();
  auto answer = platform::make_pipe().value();
  pid_t child = ::fork();
  if (child == 0) {
    answer.read_end.reset();
    char heard[2] = {wait(word.read_end.get()), *memory};
    ::_exit(::write(answer.write_end.get(), heard, 2) == 2 ? 0 : 1);
  }
  answer.write_end.reset();
  // It may still be on its way to where it waits.
  auto mapped = platform::map_in_process(child, reinterpret_cast<uintptr_t>(memory), page, file.get());
  for (int attempt = 0; attempt < 1000 && mapped && !*mapped; ++attempt) {
    ::sched_yield();
    mapped = platform::map_in_process(child, reinterpret_cast<uintptr_t>(memory), page, file.get());
  }
  EXPECT_TRUE(mapped && *mapped);
  EXPECT_EQ(::write(word.write_end.get(), "w", 1), 1);
  char heard[2] = {};
  EXPECT_EQ(::read(answer.read_end.get(), heard, 2), 2);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  ::munmap(memory, page);
  return {heard, 2};
}

TEST(MapInProcess, ChangesItsMemoryAndNotWhatItWaitsFor) {
  EXPECT_EQ(seen_after_mapping([](int pipe) {
              char word = 0;
              return ::read(pipe, &word, 1) == 1 ? word : '?';
            }),
            "wf");
  EXPECT_EQ(seen_after_mapping([](int pipe) {
              pollfd event{pipe, POLLIN, 0};
              char word = 0;
              return ::poll(&event, 1, 20'000) == 1 && ::read(pipe, &word, 1) == 1 ? word : '?';
            }),
            "wf");
}

TEST(MapInProcess, IsRefusedWhereThereIsNoSuchProcess) {
  auto mapped = platform::map_in_process(1 << 30, 0, 4096, 0);
  EXPECT_TRUE(mapped && !*mapped);
}

#endif
#endif

}  // namespace
}  // namespace diatom
