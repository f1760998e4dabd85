// The engine "krun" against a libkrun that writes down what is asked of it (support/recording_krun.cc).
#include "vm/krun/krun_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <fstream>

#include "base/platform/platform.h"
#include "scratch.h"
#include "vm/krun/vmm.h"

namespace diatom::vm {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr int patience_ms = 20'000;

class KrunTest : public ScratchTest {
 protected:
  // Each test has a copy of its own: a library is loaded once, and where it lies is where it writes.
  fs::path install(int release, const std::string& script = "", const std::string& name = "libkrun.so.1") {
    fs::path library = scratch() / name;
    fs::copy_file(fs::path(RECORDING_KRUN) / ("librecording_krun" + std::to_string(release) + ".so"), library,
                  fs::copy_options::overwrite_existing);
    std::ofstream(library.string() + ".script") << script;
    return library;
  }
  std::vector<std::string> calls(const std::string& name = "libkrun.so.1") const {
    std::ifstream file(scratch() / (name + ".record"));
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  MachineSpec spec() const {
    MachineSpec spec;
    spec.id = "0123456789abcdef";
    spec.vcpus = 2;
    spec.memory_bytes = 512ULL << 20;
    spec.kernel.agent_directory = "/guest";
    spec.directory = scratch();
    spec.channel_socket = scratch() / "vm.sock";
    spec.disks = {{.serial = "root", .extents = {{"/i/meta", 4096}, {"/l/data", 8192}}},
                  {.serial = "upper", .extents = {{"/c/upper", 1 << 20}}, .read_only = false, .ephemeral = true}};
    return spec;
  }
  DiskExtent file_of(const std::string& name) const {
    std::ofstream(scratch() / name) << name;
    return {scratch() / name, name.size()};
  }
  static UserNetwork network() {
    UserNetwork network;
    network.mac = "02:0a:0b:0c:0d:0e";
    return network;
  }
  Result<uint32_t> configure_with(const fs::path& library, const MachineSpec& spec) {
    Krun krun = load_libkrun(library, std::nullopt).value();
    return configure(krun, make_vmm_config(spec, library.string(), ""), [this](const UserNetwork&, UniqueFd nic) {
      nic_ = std::move(nic);
      return Result<>();
    });
  }

  UniqueFd nic_;
};

TEST_F(KrunTest, AsksForAVmInOrder) {
  MachineSpec wanted = spec();
  wanted.network = network();
  ASSERT_TRUE(configure_with(install(19), wanted));
  std::string here = scratch().string();
  EXPECT_THAT(calls(),
              ElementsAre("krun_set_log_level 1", "krun_create_ctx -", "krun_set_vm_config 7 2 512",
                          "krun_set_root 7 /guest", "krun_add_disk3 7 root " + here + "/root.vmdk 2 1 0 1",
                          "krun_add_disk3 7 upper /c/upper 0 0 0 0", "krun_disable_implicit_vsock 7",
                          "krun_add_vsock 7 0", "krun_add_net_unixstream 7 - socket 02:0a:0b:0c:0d:0e 0 0",
                          "krun_add_vsock_port 7 1024 " + here + "/vm.sock", "krun_set_console_output 7 /dev/fd/3",
                          "krun_set_exec 7 /agent [channel=vsock:1024 disk=root:vda disk=upper:vdb] "
                          "[KRUN_INIT_PID1=1]"));
  EXPECT_TRUE(nic_);
}

TEST_F(KrunTest, UsesWhatAnOlderReleaseHas) {
  MachineSpec wanted = spec();
  wanted.network = network();
  ASSERT_TRUE(configure_with(install(16), wanted));
  EXPECT_THAT(calls(), testing::Contains("krun_add_disk2 7 upper /c/upper 0 0"));
  EXPECT_THAT(calls(), testing::Contains(StartsWith("krun_add_net_unixstream")));
}

TEST_F(KrunTest, GivesNoNetworkToAVmWithoutOne) {
  ASSERT_TRUE(configure_with(install(19), spec()));
  EXPECT_THAT(calls(), testing::Contains("krun_add_vsock 7 0"));
  EXPECT_THAT(calls(), testing::Not(testing::Contains(StartsWith("krun_add_net"))));
}

// Without a NIC it would hand out the host's sockets.
TEST_F(KrunTest, KeepsAnOlderReleaseFromTheHostsNetworkByANicThatLeadsNowhere) {
  ASSERT_TRUE(configure_with(install(16), spec()));
  EXPECT_THAT(calls(), testing::Contains("krun_add_net_unixstream 7 - socket 02:00:00:00:00:01 0 0"));
  EXPECT_FALSE(nic_);
}

TEST_F(KrunTest, MapsPortsWithTsi) {
  MachineSpec wanted = spec();
  wanted.host_sockets = HostSockets{{{"tcp", "127.0.0.1", 8080, 80}, {"tcp", "127.0.0.1", 8443, 443}}};
  ASSERT_TRUE(configure_with(install(19), wanted));
  EXPECT_THAT(calls(), testing::Contains("krun_add_vsock 7 1"));
  EXPECT_THAT(calls(), testing::Contains("krun_set_port_map 7 [8080:80 8443:443]"));
}

TEST_F(KrunTest, GivesTheGpuWithVenusAndAWindow) {
  MachineSpec wanted = spec();
  wanted.gpu = Gpu{4ULL << 30};
  ASSERT_TRUE(configure_with(install(19), wanted));
  EXPECT_THAT(calls(), testing::Contains("krun_set_gpu_options2 7 192 4294967296"));
}

TEST_F(KrunTest, NamesTheCallThatFails) {
  MachineSpec wanted = spec();
  wanted.network = network();
  wanted.gpu = Gpu{1ULL << 30};
  ASSERT_TRUE(configure_with(install(19), wanted));
  std::vector<std::string> all = calls();
  ASSERT_GE(all.size(), 12U);
  for (size_t i = 0; i < all.size(); ++i) {
    std::string name = all[i].substr(0, all[i].find(' '));
    std::string file = "failing" + std::to_string(i) + ".so";
    auto made = configure_with(install(19, "fail " + name + " 22\n", file), wanted);
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().code, Errc::start_failed);
    EXPECT_THAT(made.error().message, AllOf(HasSubstr(name), HasSubstr("Invalid argument")));
    EXPECT_THAT(calls(file).back(), StartsWith(name)) << "something followed it";
  }
}

TEST_F(KrunTest, RefusesWhatALibraryHasNot) {
  MachineSpec bare = spec();
  bare.disks.clear();
  auto open = configure_with(install(8, "", "second.so"), bare);
  ASSERT_FALSE(open);
  EXPECT_THAT(open.error().message, HasSubstr("host's network"));
}

TEST_F(KrunTest, RefusesVersion2) {
  fs::path library = install(200);
  auto loaded = load_libkrun(library, std::nullopt);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, Errc::unsupported);
  EXPECT_THAT(loaded.error().message, HasSubstr("krun_set_root"));
  set_variable("DIATOM_LIBKRUN", install(200, "", "libkrun.so.2").string());
  auto named = find_libkrun();
  ASSERT_FALSE(named);
  EXPECT_THAT(named.error().message, HasSubstr("libkrun 2"));
}

TEST_F(KrunTest, TellsWhatALibraryLacks) {
  KrunFeatures all = krun_features(load_libkrun(install(19), std::nullopt).value());
  EXPECT_TRUE(all.lacks.empty());
  EXPECT_EQ(all.max_vcpus, 8U);
  KrunFeatures few = krun_features(load_libkrun(install(8, "", "old.so"), std::nullopt).value());
  EXPECT_THAT(few.lacks, testing::SizeIs(4));
  EXPECT_THAT(few.lacks, testing::Contains(HasSubstr("no disks")));
}

TEST_F(KrunTest, FindsTheLibraryThatIsNamed) {
  fs::path library = install(16);
  set_variable("DIATOM_LIBKRUN", library.string());
  EXPECT_EQ(find_libkrun().value(), library);
  set_variable("DIATOM_LIBKRUN", (scratch() / "none").string());
  auto none = find_libkrun();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::not_found);
}

TEST_F(KrunTest, KnowsTheVersionOfAFile) {
  std::ofstream(scratch() / "libkrun.so.1.16.0") << "";
  fs::create_symlink("libkrun.so.1.16.0", scratch() / "libkrun.so.1");
  EXPECT_EQ(libkrun_version(scratch() / "libkrun.so.1"), "1.16.0");
  EXPECT_EQ(libkrun_version("/none/libkrun.1.dylib"), "1");
}

// Build options that leave disks out leave virtio-fs in.
TEST_F(KrunTest, SharesTheDisksFilesWhereTheLibraryHasNoDisks) {
  MachineSpec wanted = spec();
  wanted.host_sockets = HostSockets{};
  wanted.disks[0].extents = {file_of("meta"), file_of("data")};
  wanted.disks[1].extents = {file_of("upper.ext4")};
  for (const char* library : {"first.so", "second.so"}) {  // what a killed VM left is no obstacle
    ASSERT_TRUE(configure_with(install(8, "", library), wanted));
    EXPECT_THAT(calls(library),
                testing::Contains("krun_add_virtiofs 7 diatom.disks " + (scratch() / "disks").string()));
    EXPECT_THAT(calls(library), testing::Contains(HasSubstr("[channel=vsock:1024 disks=files]")));
    for (auto [name, content] : {std::pair("root.0", "meta"), {"root.1", "data"}, {"upper.0", "upper.ext4"}})
      EXPECT_EQ(read_file(scratch() / "disks" / name).value(), content);
    EXPECT_EQ(fs::hard_link_count(scratch() / "upper.ext4"), 2U) << "no copy";
  }
}

TEST_F(KrunTest, NamesTheDisksFileThatIsNotThere) {
  auto made = configure_with(install(8), spec());
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::not_found);
  EXPECT_THAT(made.error().message, HasSubstr("/i/meta"));
}

TEST(VmmConfig, SurvivesItsWayToTheProcess) {
  MachineSpec spec;
  spec.vcpus = 3;
  spec.memory_bytes = 1ULL << 30;
  spec.kernel.agent_directory = "/guest";
  spec.channel_socket = "/run/a.vm";
  spec.disks = {{.serial = "root", .extents = {{"/i/\"meta\"", 4096}, {"/l/data", 8192}}}};
  spec.network = UserNetwork{.mac = "02:00:00:00:00:02", .forwards = {{"udp", "0.0.0.0", 53, 5353}}};
  spec.gpu = Gpu{5};
  VmmConfig config = make_vmm_config(spec, "/lib/libkrun.so.1", "");
  VmmConfig read = decode_vmm_config(encode_vmm_config(config)).value();
  EXPECT_EQ(encode_vmm_config(read), encode_vmm_config(config));
  EXPECT_EQ(read.disks.at(0).files, (std::vector<std::string>{"/i/\"meta\"", "/l/data"}));
  EXPECT_EQ(read.network->forwards.at(0).guest_port, 5353);
  EXPECT_FALSE(read.host_sockets);
  EXPECT_FALSE(decode_vmm_config("{}"));
  EXPECT_FALSE(decode_vmm_config("no json"));
}

TEST(VmmError, IsTheLastLine) {
  Error error{Errc::already_exists, "publish port 80: taken", "another"};
  auto read = decode_vmm_error("some words\n" + encode_vmm_error(error));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->code, Errc::already_exists);
  EXPECT_EQ(read->message, error.message);
  EXPECT_EQ(read->hint, error.hint);
  for (const char* other : {"", "words", "{}", "[1]", "{\"error\":1,\"message\":[]}"})
    if (auto none = decode_vmm_error(other)) {
      EXPECT_EQ(none->code, Errc::start_failed) << other;
    }
}

// The process itself.
class KrunProcess : public KrunTest {
 protected:
  Result<std::unique_ptr<Machine>> boot(int release, const std::string& script) {
    set_variable("DIATOM_LIBKRUN", install(release, script).string());
    set_variable("DIATOM_KRUN_VMM", KRUN_VMM);
    MachineSpec wanted = spec();
    wanted.kernel.agent_directory = scratch();
    return KrunEngine().boot(wanted);
  }
  static Result<std::string> end_of(Machine& machine) {
    pollfd event{machine.exit_event(), POLLIN, 0};
    EXPECT_EQ(::poll(&event, 1, patience_ms), 1) << "it does not end";
    return machine.reap();
  }
};

TEST_F(KrunProcess, BecomesTheVm) {
  auto machine = boot(19, "wait").value();
  EXPECT_GT(machine->pid(), 0);
  Channel channel = machine->take_channel();
  EXPECT_TRUE(channel.listens);
  EXPECT_TRUE(fs::exists(scratch() / "vm.sock"));
  machine->kill();
  auto end = end_of(*machine);
  EXPECT_TRUE(end);
  machine.reset();
  EXPECT_FALSE(fs::exists(scratch() / "vm.sock"));
}

TEST_F(KrunProcess, EndsWithWhateverStatus) {
  for (int code : {0, 1, 70, 125}) {
    auto machine = boot(19, "exit " + std::to_string(code)).value();
    auto end = end_of(*machine);
    ASSERT_TRUE(end) << code;
    EXPECT_EQ(*end, "");
  }
}

TEST_F(KrunProcess, TellsOfItsDeath) {
  auto machine = boot(19, "die " + std::to_string(SIGABRT)).value();
  auto end = end_of(*machine);
  // It aborts where there is no virtualisation, so that is what is said there.
  if (platform::probe_virtualisation().usable) {
    ASSERT_TRUE(end);
    EXPECT_THAT(*end, HasSubstr("signal 6"));
  } else {
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().code, Errc::engine_unavailable);
  }
}

TEST_F(KrunProcess, TurnsAFailureIntoATypedError) {
  auto machine = boot(19, "fail krun_set_vm_config 22").value();
  auto end = end_of(*machine);
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Errc::start_failed);
  EXPECT_THAT(end.error().message, HasSubstr("krun_set_vm_config"));
}

TEST_F(KrunProcess, SaysThatTheGuestsKernelIsMissing) {
  auto machine = boot(19, "fail krun_start_enter 2").value();
  auto end = end_of(*machine);
  ASSERT_FALSE(end);
  // Where there is no virtualisation that is said first.
  EXPECT_EQ(end.error().code, Errc::engine_unavailable);
}

TEST_F(KrunProcess, RefusesALibraryThatIsNone) {
  set_variable("DIATOM_KRUN_VMM", KRUN_VMM);
  fs::path library = scratch() / "libkrun.so.1";
  std::ofstream(library) << "no library";
  set_variable("DIATOM_LIBKRUN", library.string());
  auto machine = KrunEngine().boot(spec()).value();
  auto end = end_of(*machine);
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Errc::engine_unavailable);
}

}  // namespace
}  // namespace diatom::vm
