#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "scratch.h"
#include "vm/engine.h"

namespace diatom::vm {
namespace {

using testing::HasSubstr;

class GuestKernelTest : public ScratchTest {
 protected:
  GuestKernelTest() {
    set_variable("DIATOM_GUEST", scratch().string());
    set_variable("DIATOM_LIBKRUNFW", scratch() / "missing.so");
    set_variable("DIATOM_KERNEL", "");
  }
  void add(const char* name, std::string_view content = "x") { ASSERT_TRUE(replace_file(scratch() / name, content)); }
};

TEST_F(GuestKernelTest, IsTheOneThatDiatomGuestNames) {
  add("kernel");
  add("initramfs.cpio");
  add("version", "Debian 6.1\n");
  auto kernel = find_guest_kernel(scratch() / "cache");
  ASSERT_TRUE(kernel) << kernel.error().message;
  EXPECT_EQ(kernel->image, scratch() / "kernel");
  EXPECT_EQ(kernel->initramfs, scratch() / "initramfs.cpio");
  EXPECT_EQ(kernel->version, "Debian 6.1");
  EXPECT_TRUE(kernel->needs_acpi && kernel->has_serial);
}

TEST_F(GuestKernelTest, NeedsBothKernelAndInitramfs) {
  add("kernel");
  auto kernel = find_guest_kernel(scratch() / "cache");
  ASSERT_FALSE(kernel);
  EXPECT_EQ(kernel.error().code, Errc::not_found);
  EXPECT_THAT(kernel.error().message, HasSubstr(scratch().string()));
  EXPECT_THAT(kernel.error().hint, HasSubstr("DIATOM_GUEST"));
}

TEST_F(GuestKernelTest, WithoutAVersionIsUsedAllTheSame) {
  add("kernel");
  add("initramfs.cpio");
  EXPECT_EQ(find_guest_kernel(scratch() / "cache").value().version, "unknown");
}

TEST_F(GuestKernelTest, IsLibkrunfwsWhereThereIsNoOther) {
  set_variable("DIATOM_LIBKRUNFW", FAKE_KRUNFW);
  add("agent.ext4");
  auto kernel = find_guest_kernel(scratch() / "cache");
  ASSERT_TRUE(kernel) << kernel.error().message;
  EXPECT_EQ(kernel->image.parent_path(), scratch() / "cache");
  EXPECT_EQ(kernel->agent_disk, scratch() / "agent.ext4") << "its drivers are built in";
  EXPECT_FALSE(kernel->needs_acpi || kernel->has_serial);
}

TEST_F(GuestKernelTest, IsLibkrunfwsWhereItIsAskedFor) {
  set_variable("DIATOM_LIBKRUNFW", FAKE_KRUNFW);
  add("kernel");
  add("initramfs.cpio");
  add("agent.ext4");
  EXPECT_EQ(find_guest_kernel(scratch() / "cache").value().image, scratch() / "kernel");
  set_variable("DIATOM_KERNEL", "libkrunfw");
  EXPECT_EQ(find_guest_kernel(scratch() / "cache").value().version, "libkrunfw");
  set_variable("DIATOM_LIBKRUNFW", scratch() / "missing.so");
  auto kernel = find_guest_kernel(scratch() / "cache");
  ASSERT_FALSE(kernel);
  EXPECT_THAT(kernel.error().message, HasSubstr("libkrunfw"));
}

}  // namespace
}  // namespace diatom::vm
