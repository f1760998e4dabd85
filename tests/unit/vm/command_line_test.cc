#include "vm/qemu/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vm/qemu/template.h"
#include "vm/vmdk.h"

namespace diatom::vm {
namespace {

using testing::Contains;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

MachineSpec example() {
  MachineSpec spec;
  spec.id = std::string(64, 'a');
  spec.vcpus = 2;
  spec.memory_bytes = 512ULL << 20;
  spec.kernel = {.version = "test",
                 .image = "/guest/kernel",
                 .initramfs = "/guest/initramfs.cpio",
                 .agent_disk = {},
                 .agent_directory = {}};
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
            "console=ttyS0 quiet panic=-1 reboot=t tsc=reliable no_timer_check tsc_early_khz=2596114 lsm=landlock,yama "
            "mitigations=off");
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
  EXPECT_EQ(value_of(argv, "-append"), "console=ttyAMA0 quiet panic=-1 lsm=landlock,yama mitigations=off");
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

MachineSpec example_with_network() {
  MachineSpec spec = example();
  spec.network = UserNetwork{
      .mac = "02:aa:aa:aa:aa:aa",
      .forwards = {{"tcp", "127.0.0.1", 8080, 80}, {"udp", "0.0.0.0", 5353, 53}, {"tcp", "127.0.0.1", 80, 80}}};
  return spec;
}

TEST(QemuCommandLine, GivesTheGuestOneNicOnAUserModeNetworkWithItsPorts) {
  auto argv = qemu_command_line(emulated(), example_with_network());
  EXPECT_EQ(value_of(argv, "-netdev"),
            "user,id=net0,ipv6=off,net=10.0.2.0/24,host=10.0.2.2,dns=10.0.2.3,dhcpstart=10.0.2.15,"
            "hostfwd=tcp:127.0.0.1:8080-10.0.2.15:80,hostfwd=udp:0.0.0.0:5353-10.0.2.15:53,"
            "hostfwd=tcp:127.0.0.1:80-10.0.2.15:80");
  EXPECT_THAT(argv, Contains("virtio-net-device,netdev=net0,guest_announce=off,mac=02:aa:aa:aa:aa:aa"));
}

TEST(QemuCommandLine, HasNoNicWithoutANetwork) {
  EXPECT_THAT(qemu_command_line(emulated(), example()), Not(Contains("-netdev")));
}

constexpr auto saved = QemuTemplate::saved;
constexpr auto restored = QemuTemplate::restored;

TEST(QemuCommandLine, BootsATemplateWithMemoryInAFileAndEmptyDisks) {
  auto argv = qemu_command_line(emulated(), template_spec(with_disk_sizes(example())), saved);
  EXPECT_THAT(value_of(argv, "-machine"), HasSubstr(",memory-backend=memory"));
  EXPECT_EQ(value_of(argv, "-object"), R"({"id":"memory","mem-path":"/dev/fd/8","qom-type":)"
                                       R"("memory-backend-file","share":true,"size":536870912})");
  EXPECT_EQ(value_of(argv, "-mon"), "chardev=qmp,mode=control");
  EXPECT_EQ(value_of(argv, "-blockdev", 1),
            R"({"driver":"null-co","node-name":"upper","read-only":false,"read-zeroes":true,"size":1048576})");
  EXPECT_THAT(value_of(argv, "-blockdev", 0), HasSubstr(R"("size":68719476736})"));
  EXPECT_THAT(argv, Not(Contains("-incoming")));
}

TEST(QemuCommandLine, RestoresAVmWithAPrivateCopyOfTheMemoryAndDisksOfItsOwn) {
  auto argv = qemu_command_line(emulated(), example(), restored);
  EXPECT_THAT(value_of(argv, "-object"), HasSubstr(R"("share":false)"));
  EXPECT_THAT(value_of(argv, "-blockdev"), HasSubstr("/c/upper"));
  EXPECT_EQ(value_of(argv, "-incoming"), "defer");
}

TEST(QemuCommandLine, RestoresAVmThatIsToBeSavedAgain) {
  auto argv = qemu_command_line(emulated(), example(), QemuTemplate::prepared);
  EXPECT_THAT(value_of(argv, "-object"), HasSubstr(R"("share":true)"));
  EXPECT_THAT(value_of(argv, "-blockdev"), HasSubstr("/c/upper"));
  EXPECT_EQ(value_of(argv, "-incoming"), "defer");
  EXPECT_THAT(argv, Not(Contains("-global")));
}

TEST(QemuCommandLine, GoesOnFromACopyOfAVmThatRan) {
  auto argv = qemu_command_line(emulated(), example(), QemuTemplate::copied);
  EXPECT_THAT(value_of(argv, "-machine"), HasSubstr(",memory-backend=memory,suppress-vmdesc=on"));
  EXPECT_THAT(value_of(argv, "-object"), HasSubstr(R"("share":false)"));
  EXPECT_EQ(value_of(argv, "-incoming"), "defer");
  EXPECT_EQ(value_of(argv, "-global"), "migration.send-configuration=off");
  EXPECT_THAT(value_of(argv, "-drive"), HasSubstr("root.vmdk"));
}

TEST(QemuCommandLine, HasAMonitorSoThatAVmCanBeSaved) {
  EXPECT_EQ(value_of(qemu_command_line(emulated(), example()), "-mon"), "chardev=qmp,mode=control");
}

TEST(QemuCommandLine, LeavesThisHostsCacheOfTheDisksAloneWhenItRestores) {
  auto argv = qemu_command_line(emulated(), example(), restored);
  EXPECT_EQ(value_of(argv, "-drive"),
            R"(if=none,id=root,read-only=on,file=json:{"driver":"vmdk",,"extents.0.drop-cache":false,,)"
            R"("extents.1.drop-cache":false,,"file":{"driver":"file",,"drop-cache":false,,)"
            R"("filename":"/home/containers/a/root.vmdk"},,"read-only":true})");
  EXPECT_THAT(value_of(argv, "-blockdev"), HasSubstr(R"("drop-cache":false)"));
  EXPECT_THAT(value_of(qemu_command_line(emulated(), example()), "-blockdev"), Not(HasSubstr("drop-cache")));
}

TEST(QemuCommandLine, TellsTheAgentOfATemplateWhatToDoBeforeItIsSaved) {
  EXPECT_THAT(value_of(qemu_command_line(emulated(), example_with_network(), saved), "-append"),
              EndsWith(" prepare network=10.0.2.15/24,10.0.2.2,10.0.2.3"));
  EXPECT_THAT(value_of(qemu_command_line(emulated(), example(), saved), "-append"), EndsWith(" prepare"));
  EXPECT_THAT(value_of(qemu_command_line(emulated(), example_with_network()), "-append"),
              AllOf(Not(HasSubstr("network")), Not(HasSubstr("prepare"))));
}

// But for the memory and the disks, a VM must have the devices that its template had.
TEST(QemuCommandLine, GivesATemplateTheDevicesOfWhatIsRestoredFromIt) {
  auto devices = [](const std::vector<std::string>& argv) {
    std::vector<std::string> list;
    for (size_t i = 0; i + 1 < argv.size(); ++i)
      if (argv[i] == "-device") list.push_back(argv[i + 1].substr(0, argv[i + 1].find(",mac=")));
    return list;
  };
  MachineSpec spec = example_with_network();
  EXPECT_EQ(devices(qemu_command_line(emulated(), template_spec(spec), saved)),
            devices(qemu_command_line(emulated(), spec, restored)));
}

TEST(RefusedForward, IsTheOneThatQemuNames) {
  MachineSpec spec = example_with_network();
  auto words = [](const std::string& rule) {
    return "qemu-system-x86_64: -netdev user,id=net0,…: Could not set up host forwarding rule '" + rule + "'";
  };
  auto refused = refused_forward(spec, words("tcp:127.0.0.1:80-10.0.2.15:80"));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->host_port, 80);
  refused = refused_forward(spec, words("udp:0.0.0.0:5353-10.0.2.15:53"));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->host_port, 5353);
  EXPECT_FALSE(refused_forward(spec, words("tcp:127.0.0.1:1-10.0.2.15:1")));
  EXPECT_FALSE(refused_forward(spec, "qemu-system-x86_64: tcp:127.0.0.1:80-10.0.2.15:80"));
  EXPECT_FALSE(refused_forward(example(), words("tcp:127.0.0.1:80-10.0.2.15:80")));
}

TEST(WithDiskSizes, GivesAllImagesOneSizeAndAWritableDiskItsOwn) {
  MachineSpec spec = example();
  spec.disks[0].extents.push_back({"/l/1.data", 64ULL << 30});
  spec = with_disk_sizes(std::move(spec));
  EXPECT_EQ(spec.disks[0].bytes, 128ULL << 30);
  EXPECT_EQ(spec.disks[1].bytes, 1ULL << 20);
  EXPECT_EQ(with_disk_sizes(example()).disks[0].bytes, 64ULL << 30);
}

TEST(WithDiskSizes, JoinsAnImageOfOneFileWithZeros) {
  MachineSpec spec = example();
  spec.disks[0].extents.pop_back();
  EXPECT_FALSE(is_joined(spec.disks[0]));
  spec = with_disk_sizes(std::move(spec));
  EXPECT_TRUE(is_joined(spec.disks[0]));
  EXPECT_FALSE(is_joined(spec.disks[1]));
  EXPECT_THAT(vmdk_descriptor(spec.disks[0]), HasSubstr("RW 134217728 FLAT \"/i/meta\" 0\n"));
}

TEST(VmdkDescriptor, EndsWithZerosWhereTheDiskIsLarger) {
  Disk disk = example().disks[0];
  disk.bytes = 1 << 20;
  EXPECT_THAT(vmdk_descriptor(disk), HasSubstr("RW 16 FLAT \"/i/meta\" 0\nRW 2032 FLAT \"/l/0.data\" 0\n"));
}

TEST(VmdkDescriptor, ListsTheExtentsInOrderInSectors) {
  EXPECT_THAT(vmdk_descriptor(example().disks[0]), HasSubstr("RW 16 FLAT \"/i/meta\" 0\nRW 8 FLAT \"/l/0.data\" 0\n"));
}

}  // namespace
}  // namespace diatom::vm
