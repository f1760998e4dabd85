#include "rootfs/upper.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "base/child.h"
#include "support/scratch.h"

namespace diatom::rootfs {
namespace {

using namespace std::chrono_literals;
using test::ScratchDirectory;

constexpr uint64_t size = 1ULL << 30;

class UpperTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!find_program("mke2fs")) GTEST_SKIP() << "mke2fs is not installed";
  }
  static void expect_empty_ext4(const fs::path& path) {
    struct stat status{};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(static_cast<uint64_t>(status.st_size), size);
    EXPECT_LT(status.st_blocks * 512, 16 << 20) << "it is not sparse";
    UniqueFd fd = open_file(path, O_RDONLY).value();
    unsigned char magic[2];
    ASSERT_EQ(::pread(fd.get(), magic, 2, 1024 + 56), 2);
    EXPECT_EQ(magic[0] | magic[1] << 8, 0xef53);
    if (!find_program("e2fsck")) return;
    auto check = run_command({"e2fsck", "-fn", path}, 60s);
    ASSERT_TRUE(check) << test::error_of(check);
    EXPECT_EQ(check->status.code, 0) << check->output;
  }
  fs::path template_path() const {
    return scratch_ / "templates" / ("upper-journal-32-" + std::to_string(size) + ".ext4");
  }
  ScratchDirectory scratch_;
};

TEST_F(UpperTest, IsASparseExt4ThatIsFormattedOnce) {
  ASSERT_TRUE(create_upper(scratch_ / "templates", size, scratch_ / "one"));
  expect_empty_ext4(scratch_ / "one");
  struct stat before{};
  fs::path ready = template_path();
  ASSERT_EQ(::stat(ready.c_str(), &before), 0);
  ASSERT_TRUE(create_upper(scratch_ / "templates", size, scratch_ / "two"));
  struct stat after{};
  ASSERT_EQ(::stat(ready.c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  auto taken = create_upper(scratch_ / "templates", size, scratch_ / "two");
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Errc::already_exists);
}

TEST_F(UpperTest, CanBeAskedForByManyAtOnce) {
  std::vector<std::thread> threads;
  for (const char* name : {"a", "b", "c", "d"})
    threads.emplace_back([&, name] {
      auto made = create_upper(scratch_ / "templates", size, scratch_ / name);
      EXPECT_TRUE(made) << test::error_of(made);
    });
  for (auto& thread : threads) thread.join();
  for (const char* name : {"a", "b", "c", "d"}) EXPECT_TRUE(fs::exists(scratch_ / name));
  expect_empty_ext4(scratch_ / "d");
}

TEST_F(UpperTest, FormatsAnewWhatAKillLeftHalfDone) {
  ASSERT_TRUE(make_directories(scratch_ / "templates"));
  ASSERT_TRUE(replace_file(template_path().string() + ".tmp", "half"));
  ASSERT_TRUE(create_upper(scratch_ / "templates", size, scratch_ / "one"));
  expect_empty_ext4(scratch_ / "one");
}

TEST_F(UpperTest, LeavesNothingWhenItCannotBeFormatted) {
  auto refused = create_upper(scratch_ / "templates", 4096, scratch_ / "tiny");
  ASSERT_FALSE(refused) << "4 KiB is too small for a file system";
  EXPECT_FALSE(fs::exists(scratch_ / "tiny"));
  for (const auto& entry : fs::directory_iterator(scratch_ / "templates"))
    EXPECT_EQ(entry.path().extension(), ".lock") << entry.path();
}

}  // namespace
}  // namespace diatom::rootfs
