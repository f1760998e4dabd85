#include "runtime/gpu_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/child.h"
#include "support/scratch.h"

namespace diatom {
namespace {

using testing::HasSubstr;

class GpuLock : public testing::Test {
 protected:
  GpuLock() { ::setenv("DIATOM_GPU_LOCK", path().c_str(), 1); }
  ~GpuLock() override { ::unsetenv("DIATOM_GPU_LOCK"); }
  fs::path path() const { return scratch_ / "gpu.lock"; }

  test::ScratchDirectory scratch_;
};

TEST_F(GpuLock, IsOnesAtATimeAndTellsWhose) {
  auto first = lock_gpu("container \"one\"");
  ASSERT_TRUE(first) << first.error().message;
  auto second = lock_gpu("container \"two\"");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::already_exists);
  EXPECT_THAT(second.error().message, HasSubstr("container \"one\" has it"));
  first->reset();
  EXPECT_TRUE(lock_gpu("container \"two\""));
}

// However the VM's process ends.
TEST_F(GpuLock, GoesWithTheLastProcessThatHasIt) {
  auto lock = lock_gpu("container \"one\"");
  ASSERT_TRUE(lock);
  ChildOptions options;
  options.argv = {"sleep", "1000"};
  options.fds = {{lock->get(), 5}};
  Child child = Child::spawn(options).value();
  lock->reset();
  EXPECT_FALSE(lock_gpu("container \"two\""));
  child.kill(SIGKILL);
  EXPECT_TRUE(child.wait());
  EXPECT_TRUE(lock_gpu("container \"two\""));
}

TEST_F(GpuLock, FollowsNoLink) {
  fs::create_symlink(scratch_ / "elsewhere", path());
  EXPECT_FALSE(lock_gpu("container \"one\""));
  EXPECT_FALSE(fs::exists(scratch_ / "elsewhere"));
}

TEST_F(GpuLock, IsForEveryUserOfTheHost) {
  ASSERT_TRUE(lock_gpu("container \"one\""));
  struct stat status{};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0666U);
}

}  // namespace
}  // namespace diatom
