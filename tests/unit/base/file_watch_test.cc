#include "base/platform/file_watch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>

#include "support/scratch.h"

namespace diatom {
namespace {

using platform::FileWatch;

class FileWatchTest : public testing::Test {
 protected:
  FileWatchTest() {
    EXPECT_TRUE(replace_file(file_, "one"));
    EXPECT_TRUE(make_directories(folder_));
    EXPECT_TRUE(replace_file(folder_ / "there", "one"));
  }

  FileWatch watch(const std::vector<fs::path>& paths) {
    auto opened = FileWatch::open(paths);
    EXPECT_TRUE(opened) << test::error_of(opened);
    return std::move(*opened);
  }
  static bool told(const FileWatch& watch, int within_ms) {
    pollfd event{watch.pollable(), POLLIN, 0};
    return ::poll(&event, 1, within_ms) == 1;
  }
  static bool told(const FileWatch& watch) { return told(watch, 20'000); }

  static void append(const fs::path& path) {
    UniqueFd fd = std::move(*open_file(path, O_WRONLY | O_APPEND));
    EXPECT_TRUE(write_all(fd.get(), std::string_view("more")));
  }

  test::ScratchDirectory scratch_;
  fs::path file_ = scratch_ / "file";
  fs::path folder_ = scratch_ / "folder";
};

TEST_F(FileWatchTest, TellsOfEachThingThatHappensToAFile) {
  const std::pair<const char*, std::function<void()>> cases[] = {
      {"append", [&] { append(file_); }},
      {"truncate", [&] { EXPECT_EQ(::truncate(file_.c_str(), 0), 0); }},
      {"touch", [&] { EXPECT_EQ(::utimensat(AT_FDCWD, file_.c_str(), nullptr, 0), 0); }},
      {"rename", [&] { fs::rename(file_, scratch_ / "other"); }},
      {"remove", [&] { fs::remove(scratch_ / "other"); }},
  };
  FileWatch watched = watch({file_});
  for (const auto& [name, act] : cases) {
    EXPECT_FALSE(told(watched, 0)) << name;
    act();
    EXPECT_TRUE(told(watched)) << name;
    watched.drain();
  }
}

TEST_F(FileWatchTest, TellsOfEachThingThatHappensInAFolder) {
  const std::pair<const char*, std::function<void()>> cases[] = {
      {"make", [&] { EXPECT_TRUE(replace_file(folder_ / "new", "")); }},
      {"rename", [&] { fs::rename(folder_ / "new", folder_ / "newer"); }},
      {"move out", [&] { fs::rename(folder_ / "newer", scratch_ / "newer"); }},
      {"move in", [&] { fs::rename(scratch_ / "newer", folder_ / "newer"); }},
      {"remove", [&] { fs::remove(folder_ / "newer"); }},
  };
  FileWatch watched = watch({folder_});
  for (const auto& [name, act] : cases) {
    EXPECT_FALSE(told(watched, 0)) << name;
    act();
    EXPECT_TRUE(told(watched)) << name;
    watched.drain();
  }
  append(folder_ / "there");
  EXPECT_FALSE(told(watched, 0)) << "what is written to a file in it";
}

TEST_F(FileWatchTest, WatchesSeveralAtOnceAndForgetsWhatWasDrained) {
  FileWatch watched = watch({file_, folder_, folder_ / "there"});
  for (const fs::path& path : {file_, folder_ / "there"}) {
    append(path);
    append(path);
    EXPECT_TRUE(told(watched));
    EXPECT_TRUE(told(watched)) << "it stays so until it is drained";
    watched.drain();
    EXPECT_FALSE(told(watched, 0));
  }
  watched.drain();
}

TEST_F(FileWatchTest, RefusesWhatIsNotThere) {
  auto opened = FileWatch::open({file_, scratch_ / "nowhere"});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::not_found);
  EXPECT_NE(opened.error().message.find("nowhere"), std::string::npos);
}

}  // namespace
}  // namespace diatom
