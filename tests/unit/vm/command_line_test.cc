#include "vm/qemu/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diatom::vm {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

MachineSpec example() {
  MachineSpec spec;
  spec.id = std::string(64, 'a');
  spec.vcpus = 2;
  spec.memory_bytes = 512ULL << 20;
  spec.kernel = {.version = "test", .image = "/guest/kernel", .initramfs = "/guest/initramfs.cpio", .agent_disk = {}};
  spec.directory = "/home/containers/a";
  spec.disks = {{.serial = "root", .extents = {{"/i/meta", 8192}, {"/l/0.data", 4096}}},
                {.serial = "upper", .extents = {{"/c/upper, \"odd\".ext4", 1 << 20}}, .read_only = false}};
  return spec;
}

QemuTarget emulated() {
  return {.program = "/usr/bin/qemu", .arch = "amd64", .accelerator = "tcg", .tsc_khz = 2596114};
}

// The value behind the n-th occurrence of an option.
std::string value_of(const std::vector<std::string>& argv, std::string_view option, int nth = 0) {
  for (size_t i = 0; i + 1 < argv.size(); ++i)
    if (argv[i] == option && nth-- == 0) return argv[i + 1];
  return "";
}

TEST(QemuCommandLine, BootsAMicrovmWithNothingThatWasNotAskedFor) {
  auto argv = qemu_command_line(emulated(), example());
  EXPECT_EQ(argv.front(), "/usr/bin/qemu");
  EXPECT_THAT(argv, Contains("-nodefaults"));
  EXPECT_THAT(argv, Contains("-no-user-config"));
  EXPECT_THAT(argv, Contains("-no-reboot"));
  EXPECT_THAT(value_of(argv, "-machine"), HasSubstr("microvm"));
  EXPECT_THAT(value_of(argv, "-machine"), HasSubstr("rtc=on"));
  EXPECT_EQ(value_of(argv, "-smp"), "2");
  EXPECT_EQ(value_of(argv, "-m"), "512M");
}

TEST(QemuCommandLine, TurnsQemusOwnSandboxOn) {
  EXPECT_EQ(value_of(qemu_command_line(emulated(), example()), "-sandbox"),
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
}

TEST(QemuCommandLine, PutsNothingOfTheUsersOnTheKernelCommandLine) {
  EXPECT_EQ(value_of(qemu_command_line(emulated(), example()), "-append"),
            "console=ttyS0 quiet panic=-1 reboot=t tsc=reliable no_timer_check tsc_early_khz=2596114 mitigations=off");
}

TEST(QemuCommandLine, LeavesMitigationsAndTheClockAloneUnderHardwareVirtualisation) {
  QemuTarget target = emulated();
  target.accelerator = "kvm";
  auto argv = qemu_command_line(target, example());
  EXPECT_EQ(value_of(argv, "-cpu"), "host");
  EXPECT_THAT(value_of(argv, "-append"), Not(HasSubstr("mitigations")));
  EXPECT_THAT(value_of(argv, "-append"), Not(HasSubstr("tsc_early_khz")));
}

TEST(QemuCommandLine, OpensAJoinedDiskByItsDescriptorAndAPlainOneAsRaw) {
  auto argv = qemu_command_line(emulated(), example());
  EXPECT_EQ(value_of(argv, "-blockdev", 0),
            R"({"driver":"vmdk","file":{"driver":"file","filename":"/home/containers/a/root.vmdk"},)"
            R"("node-name":"root","read-only":true})");
  EXPECT_EQ(value_of(argv, "-blockdev", 1),
            R"({"discard":"unmap","driver":"raw","file":{"discard":"unmap","driver":"file",)"
            R"("filename":"/c/upper, \"odd\".ext4"},"node-name":"upper","read-only":false})");
  EXPECT_THAT(argv, Contains("virtio-blk-device,drive=root,serial=root,werror=report"));
}

TEST(QemuCommandLine, DropsFlushesOfADiskThatNobodyReadsLater) {
  MachineSpec spec = example();
  spec.disks[1].ephemeral = true;
  EXPECT_THAT(value_of(qemu_command_line(emulated(), spec), "-blockdev", 1), HasSubstr(R"("no-flush":true)"));
}

TEST(QemuCommandLine, GivesArmHostsTheVirtMachine) {
  QemuTarget target = emulated();
  target.arch = "arm64";
  auto argv = qemu_command_line(target, example());
  EXPECT_EQ(value_of(argv, "-machine"), "virt");
  EXPECT_EQ(value_of(argv, "-append"), "console=ttyAMA0 quiet panic=-1 mitigations=off");
}

TEST(QemuCommandLine, GivesAKernelWithoutInitramfsTheAgentAsItsFirstDisk) {
  MachineSpec spec = example();
  spec.kernel.initramfs.clear();
  spec.kernel.agent_disk = "/guest/agent.ext4";
  auto argv = qemu_command_line(emulated(), spec);
  EXPECT_THAT(argv, Not(Contains("-initrd")));
  EXPECT_THAT(value_of(argv, "-blockdev", 0),
              HasSubstr(R"("filename":"/guest/agent.ext4"},"node-name":"agent","read-only":true)"));
  EXPECT_THAT(value_of(argv, "-append"), HasSubstr("root=/dev/vda rootfstype=ext4 ro init=/init"));
}

TEST(QemuCommandLine, UsesAVirtioConsoleWhereTheKernelHasNoSerialDriver) {
  MachineSpec spec = example();
  spec.kernel.has_serial = false;
  spec.kernel.needs_acpi = false;
  auto argv = qemu_command_line(emulated(), spec);
  EXPECT_THAT(argv, Contains("virtconsole,chardev=console"));
  EXPECT_THAT(value_of(argv, "-append"), HasSubstr("console=hvc0"));
  EXPECT_THAT(value_of(argv, "-machine"), HasSubstr("acpi=off"));
}

TEST(VmdkDescriptor, ListsTheExtentsInOrderInSectors) {
  EXPECT_THAT(vmdk_descriptor(example().disks[0]), HasSubstr("RW 16 FLAT \"/i/meta\" 0\nRW 8 FLAT \"/l/0.data\" 0\n"));
}

}  // namespace
}  // namespace diatom::vm
