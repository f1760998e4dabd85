#include "base/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "base/platform/platform.h"
#include "support/scratch.h"

namespace diatom {
namespace {

using test::bytes_of;
using test::ScratchDirectory;

std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) names.push_back(entry.path().filename());
  return names;
}

TEST(OpenFile, ClosesOnExecAndNamesWhatIsMissing) {
  ScratchDirectory scratch;
  auto missing = open_file(scratch / "none", O_RDONLY);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::not_found);
  EXPECT_THAT(missing.error().message, testing::HasSubstr((scratch / "none").string()));
  auto made = open_file(scratch / "made", O_WRONLY | O_CREAT);
  ASSERT_TRUE(made);
  EXPECT_EQ(::fcntl(made->get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  struct stat status{};
  ASSERT_EQ(::fstat(made->get(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST(ReadFile, ReadsAllOrRefusesWhatIsTooLarge) {
  ScratchDirectory scratch;
  std::string content = test::noise(200'000);
  ASSERT_TRUE(replace_file(scratch / "f", content));
  EXPECT_EQ(read_file(scratch / "f").value(), content);
  EXPECT_EQ(read_file(scratch / "f", 200'000).value(), content);
  auto refused = read_file(scratch / "f", 199'999);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::invalid_argument);
  // A file that says it is empty (procfs) is read to its end.
  EXPECT_THAT(read_file("/proc/self/status").value(), testing::HasSubstr("Pid:"));
}

TEST(ReadFull, CollectsPiecesAndStopsAtTheEnd) {
  auto pipe = platform::make_pipe();
  std::thread writer([&] {
    for (std::string_view piece : {"ab", "c", "def"}) EXPECT_TRUE(write_all(pipe->write_end.get(), piece));
    pipe->write_end.reset();
  });
  std::byte buffer[4];
  EXPECT_EQ(read_full(pipe->read_end.get(), buffer).value(), 4U);
  EXPECT_EQ(read_full(pipe->read_end.get(), buffer).value(), 2U);
  EXPECT_EQ(read_full(pipe->read_end.get(), buffer).value(), 0U);
  writer.join();
}

TEST(PositionedIo, WritesAndReadsWhereItIsTold) {
  UniqueFd fd = test::scratch_file();
  ASSERT_TRUE(pwrite_all(fd.get(), bytes_of("world"), 5));
  ASSERT_TRUE(pwrite_all(fd.get(), bytes_of("hello"), 0));
  EXPECT_EQ(test::content_of(fd.get()), "helloworld");
  EXPECT_EQ(file_size(fd.get()).value(), 10U);
  std::byte buffer[4];
  auto beyond = pread_all(fd.get(), buffer, 8);
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, Errc::internal);
}

TEST(ReplaceFile, LeavesTheNewContentAndNothingElse) {
  ScratchDirectory scratch;
  ASSERT_TRUE(replace_file(scratch / "f", "old"));
  ASSERT_TRUE(replace_file(scratch / "f", "new"));
  EXPECT_EQ(read_file(scratch / "f").value(), "new");
  EXPECT_THAT(names_in(scratch.path()), testing::ElementsAre("f"));
}

TEST(ReplaceFile, LeavesNothingBehindWhenItFails) {
  ScratchDirectory scratch;
  ASSERT_TRUE(make_directories(scratch / "taken" / "by"));
  EXPECT_FALSE(replace_file(scratch / "taken", "x"));
  EXPECT_THAT(names_in(scratch.path()), testing::ElementsAre("taken"));
  EXPECT_EQ(replace_file(scratch / "none" / "f", "x").error().code, Errc::not_found);
}

TEST(ReplaceFile, TakesANameInTheWorkingDirectory) {
  ScratchDirectory scratch;
  fs::path before = fs::current_path();
  fs::current_path(scratch.path());
  auto replaced = replace_file("plain-name", "x");
  fs::current_path(before);
  EXPECT_TRUE(replaced) << test::error_of(replaced);
  EXPECT_THAT(names_in(scratch.path()), testing::ElementsAre("plain-name"));
}

TEST(ReplaceFile, NeverShowsAPartToReadersHoweverManyWrite) {
  ScratchDirectory scratch;
  const std::string contents[] = {std::string(100'000, 'a'), std::string(300'000, 'b')};
  ASSERT_TRUE(replace_file(scratch / "f", contents[0]));
  std::atomic<int> writing{2};
  auto writer = [&](const std::string& content) {
    for (int i = 0; i < 40; ++i) EXPECT_TRUE(replace_file(scratch / "f", content));
    --writing;
  };
  std::thread one(writer, std::cref(contents[0]));
  std::thread two(writer, std::cref(contents[1]));
  while (writing > 0) {
    std::string now = read_file(scratch / "f").value();
    EXPECT_TRUE(now == contents[0] || now == contents[1]) << now.size() << " bytes, a part of something";
  }
  one.join();
  two.join();
  EXPECT_THAT(names_in(scratch.path()), testing::ElementsAre("f"));
}

TEST(ReplaceFile, LeavesOldOrNewWhenItsProcessIsKilled) {
  ScratchDirectory scratch;
  const std::string contents[] = {std::string(50'000, 'a'), std::string(80'000, 'b')};
  ASSERT_TRUE(replace_file(scratch / "f", contents[0]));
  for (int round = 0; round < 10; ++round) {
    auto started = platform::make_pipe();
    pid_t child = ::fork();
    if (child == 0) {
      for (size_t i = 0;; ++i) {
        if (!replace_file(scratch / "f", contents[i % 2])) ::_exit(1);
        if (i == static_cast<size_t>(round)) started->write_end.reset();  // killed at another place each round
      }
    }
    started->write_end.reset();
    std::byte none[1];
    EXPECT_EQ(read_full(started->read_end.get(), none).value(), 0U);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    std::string now = read_file(scratch / "f").value();
    EXPECT_TRUE(now == contents[0] || now == contents[1]) << now.size();
  }
}

TEST(MakeDirectories, MakesParentsAndAcceptsWhatIsThere) {
  ScratchDirectory scratch;
  for (int twice = 0; twice < 2; ++twice) ASSERT_TRUE(make_directories(scratch / "a/b/c/"));
  struct stat status{};
  ASSERT_EQ(::stat((scratch / "a/b").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  ASSERT_TRUE(replace_file(scratch / "file", ""));
  auto taken = make_directories(scratch / "file");
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Errc::already_exists);
}

TEST(RemoveTree, FollowsNoLinksAndTakesAMissingPathAsDone) {
  ScratchDirectory scratch;
  ASSERT_TRUE(make_directories(scratch / "kept"));
  ASSERT_TRUE(replace_file(scratch / "kept" / "file", "x"));
  ASSERT_TRUE(make_directories(scratch / "gone/deep"));
  fs::create_directory_symlink(scratch / "kept", scratch / "gone/deep/link");
  ASSERT_TRUE(remove_tree(scratch / "gone"));
  EXPECT_FALSE(fs::exists(scratch / "gone"));
  EXPECT_TRUE(fs::exists(scratch / "kept" / "file"));
  EXPECT_TRUE(remove_tree(scratch / "gone"));
}

TEST(FileLock, IsHeldByOneOrSharedByMany) {
  ScratchDirectory scratch;
  fs::path path = scratch / "lock";
  {
    auto lock = FileLock::acquire(path);
    ASSERT_TRUE(lock);
    EXPECT_FALSE(FileLock::try_acquire(path).value());
    EXPECT_FALSE(FileLock::try_acquire(path, FileLock::Mode::shared).value());
  }
  auto one = FileLock::acquire(path, FileLock::Mode::shared);
  auto two = FileLock::try_acquire(path, FileLock::Mode::shared);
  ASSERT_TRUE(one && two && *two);
  EXPECT_FALSE(FileLock::try_acquire(path).value());
}

TEST(FileLock, GoesWithTheProcessThatHeldIt) {
  ScratchDirectory scratch;
  auto ready = platform::make_pipe();
  pid_t holder = ::fork();
  if (holder == 0) {
    auto lock = FileLock::acquire(scratch / "lock");
    ready->write_end.reset();
    for (;;) ::pause();
  }
  ready->write_end.reset();
  std::byte none[1];
  EXPECT_EQ(read_full(ready->read_end.get(), none).value(), 0U);
  EXPECT_FALSE(FileLock::try_acquire(scratch / "lock").value());
  ::kill(holder, SIGKILL);
  EXPECT_TRUE(FileLock::acquire(scratch / "lock"));
  ::waitpid(holder, nullptr, 0);
}

TEST(TemporaryPath, GoesUnlessItIsKept) {
  ScratchDirectory scratch;
  ASSERT_TRUE(make_directories(scratch / "tree/below"));
  {
    TemporaryPath path(scratch / "tree");
  }
  EXPECT_FALSE(fs::exists(scratch / "tree"));
  ASSERT_TRUE(replace_file(scratch / "kept", ""));
  {
    TemporaryPath path(scratch / "kept");
    TemporaryPath moved = std::move(path);
    moved.keep();
  }
  EXPECT_TRUE(fs::exists(scratch / "kept"));
}

}  // namespace
}  // namespace diatom
