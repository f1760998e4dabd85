#include "runtime/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "support/scratch.h"

namespace diatom {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Words = std::vector<std::string>;

// What was asked for, and what of it is looked at.
class PlanTest : public testing::Test {
 protected:
  Result<Plan> plan() const {
    return plan_container({.id = "0123456789abcdef",
                           .spec = spec_,
                           .image = image_,
                           .kernel = kernel_,
                           .directory = "/c",
                           .templates = "/templates",
                           .channel_socket = "/run/c.vm",
                           .upper = upper_,
                           .max_vcpus = 4,
                           .ports = ports_,
                           .host_resolv_conf = "nameserver 192.0.2.1\nsearch corp.test\noptions edns0\n"});
  }
  Plan good() const {
    auto made = plan();
    EXPECT_TRUE(made) << test::error_of(made);
    return made.value_or(Plan{});
  }

  ContainerSpec spec_;
  ResolvedImage image_{
      .id = "sha256:1", .defaults = {}, .root_device = {{"/images/1.erofs", 8192}, {"/layers/1.data", 4096}}};
  vm::GuestKernel kernel_{
      .version = "6.1", .image = "/kernel", .initramfs = "/initramfs", .agent_disk = {}, .agent_directory = {}};
  fs::path upper_ = "/c/upper.ext4";
  std::vector<PortMapping> ports_;
};

TEST(PlanCommand, FollowsDockersTable) {
  struct Case {
    const char* what;
    Words image_entrypoint, image_cmd;
    std::optional<Words> entrypoint;
    Words args;
    Words result;
  };
  const Case cases[] = {
      {"nothing at all", {}, {}, {}, {}, {"/bin/sh"}},
      {"the image's command", {}, {"cmd", "a"}, {}, {}, {"cmd", "a"}},
      {"the image's both", {"entry"}, {"cmd"}, {}, {}, {"entry", "cmd"}},
      {"arguments replace the command", {"entry"}, {"cmd"}, {}, {"x", "y"}, {"entry", "x", "y"}},
      {"a program over an image without entrypoint", {}, {"cmd"}, {}, {"x"}, {"x"}},
      {"a new entrypoint drops the command", {"entry"}, {"cmd"}, Words{"new"}, {}, {"new"}},
      {"a new entrypoint with arguments", {"entry"}, {"cmd"}, Words{"new"}, {"x"}, {"new", "x"}},
      {"no entrypoint, and arguments", {"entry"}, {"cmd"}, Words{}, {"x"}, {"x"}},
      {"no entrypoint, and nothing", {"entry"}, {"cmd"}, Words{}, {}, {"/bin/sh"}},
  };
  for (const Case& one : cases) {
    ContainerSpec spec;
    spec.entrypoint = one.entrypoint;
    spec.args = one.args;
    ImageDefaults image{.entrypoint = one.image_entrypoint,
                        .cmd = one.image_cmd,
                        .env = {},
                        .working_dir = {},
                        .user = {},
                        .exposed_ports = {}};
    EXPECT_EQ(plan_command(spec, image), one.result) << one.what;
  }
}

TEST_F(PlanTest, StartsFromATemplateUnlessItIsNotToBe) {
  EXPECT_EQ(good().task.machine.templates, "/templates");
  spec_.no_template = true;
  EXPECT_TRUE(good().task.machine.templates.empty());
}

TEST_F(PlanTest, TellsTheAgentTheMacAddressThatTheDeviceMayNotHave) {
  Plan plan = good();
  ASSERT_TRUE(plan.task.machine.network && plan.task.container.network);
  EXPECT_EQ(plan.task.container.network->mac, plan.task.machine.network->mac);
}

TEST_F(PlanTest, DecidesEverythingOfAPlainContainer) {
  Plan plan = good();
  const TaskPlan& task = plan.task;
  EXPECT_THAT(plan.warnings, IsEmpty());
  EXPECT_THAT(task.process.argv, ElementsAre("/bin/sh"));
  EXPECT_THAT(task.process.env, ElementsAre("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                            "HOSTNAME=0123456789ab"));
  EXPECT_EQ(task.process.cwd, "/");
  EXPECT_EQ(task.process.user, "");
  EXPECT_FALSE(task.process.tty);
  EXPECT_EQ(task.container.hostname, "0123456789ab");
  EXPECT_EQ(task.container.cpu_quota_us, 0U);
  EXPECT_TRUE(task.container.has_upper);
  EXPECT_EQ(task.machine.vcpus, 2U);
  EXPECT_EQ(task.machine.memory_bytes, 512U << 20);
  EXPECT_EQ(task.machine.kernel.image, "/kernel");
  ASSERT_EQ(task.machine.disks.size(), 2U);
  EXPECT_EQ(task.machine.disks[0].serial, "root");
  EXPECT_TRUE(task.machine.disks[0].read_only);
  ASSERT_EQ(task.machine.disks[0].extents.size(), 2U);
  EXPECT_EQ(task.machine.disks[0].extents[1].path, "/layers/1.data");
  EXPECT_EQ(task.machine.disks[0].extents[1].bytes, 4096U);
  EXPECT_EQ(task.machine.disks[1].serial, "upper");
  EXPECT_FALSE(task.machine.disks[1].read_only);
  EXPECT_FALSE(task.machine.disks[1].ephemeral);
  EXPECT_EQ(task.machine.disks[1].extents[0].bytes, 64ULL << 30);
  EXPECT_TRUE(task.keep_disk);
}

TEST_F(PlanTest, KeepsNoDiskThatNobodyWillRead) {
  spec_.auto_remove = true;
  EXPECT_FALSE(good().task.keep_disk);
  EXPECT_TRUE(good().task.machine.disks[1].ephemeral);
  upper_.clear();
  spec_.auto_remove = false;
  spec_.read_only = true;
  EXPECT_FALSE(good().task.keep_disk);
  EXPECT_FALSE(good().task.container.has_upper);
  EXPECT_TRUE(good().task.container.read_only);
  EXPECT_EQ(good().task.machine.disks.size(), 1U);
}

TEST_F(PlanTest, LayersTheEnvironmentAsDockerDoes) {
  image_.defaults.env = {"PATH=/image", "A=image", "B=image", "EMPTY="};
  spec_.env = {"A=spec", "HOSTNAME=other", "C=with=equals", "A=last"};
  spec_.tty = true;
  EXPECT_THAT(good().task.process.env, ElementsAre("PATH=/image", "HOSTNAME=other", "TERM=xterm", "A=last", "B=image",
                                                   "EMPTY=", "C=with=equals"));
}

TEST_F(PlanTest, TakesTheImagesDefaultsUnlessTheSpecSaysOtherwise) {
  image_.defaults.working_dir = "/srv";
  image_.defaults.user = "www";
  EXPECT_EQ(good().task.process.cwd, "/srv");
  EXPECT_EQ(good().task.process.user, "www");
  spec_.working_dir = "/tmp";
  spec_.user = "0:0";
  spec_.hostname = "web-1.example";
  spec_.tmpfs = {{"/run", "size=1m"}};
  spec_.open_stdin = true;
  EXPECT_EQ(good().task.process.cwd, "/tmp");
  EXPECT_EQ(good().task.process.user, "0:0");
  EXPECT_EQ(good().task.container.hostname, "web-1.example");
  EXPECT_THAT(good().task.process.env, Contains("HOSTNAME=web-1.example"));
  EXPECT_EQ(good().task.container.tmpfs.at(0).options, "size=1m");
  EXPECT_TRUE(good().task.process.open_stdin);
}

TEST_F(PlanTest, RoundsCpusUpLimitsThemAndClampsThemToWhatAVmCanHave) {
  struct Case {
    double asked;
    unsigned vcpus;
    uint64_t quota;
    bool warned;
  };
  for (auto [asked, vcpus, quota, warned] :
       {Case{1, 1, 0, false}, Case{0.5, 1, 50'000, false}, Case{1.5, 2, 150'000, false}, Case{4, 4, 0, false},
        Case{5, 4, 0, true}, Case{0.000'001, 1, 1'000, false}}) {
    spec_.cpus = asked;
    Plan plan = good();
    EXPECT_EQ(plan.task.machine.vcpus, vcpus) << asked;
    EXPECT_EQ(plan.task.container.cpu_quota_us, quota) << asked;
    EXPECT_EQ(!plan.warnings.empty(), warned) << asked;
  }
}

TEST_F(PlanTest, RaisesMemoryToWhatAGuestBootsWithAndSaysSo) {
  spec_.memory_bytes = 1 << 20;
  EXPECT_EQ(good().task.machine.memory_bytes, 128U << 20);
  EXPECT_THAT(good().warnings, ElementsAre(HasSubstr("1 MiB")));
  spec_.memory_bytes = 128 << 20;
  EXPECT_THAT(good().warnings, IsEmpty());
}

TEST_F(PlanTest, ConnectsAContainerUnlessItIsToHaveNoNetwork) {
  ports_ = {{.host_address = "127.0.0.1", .host_port = 8080, .container_port = 80},
            {.host_address = "0.0.0.0", .host_port = 5353, .container_port = 53, .protocol = "udp"}};
  TaskPlan task = good().task;
  ASSERT_TRUE(task.machine.network);
  EXPECT_EQ(task.machine.network->mac, "02:01:23:45:67:89");
  ASSERT_EQ(task.machine.network->forwards.size(), 2U);
  EXPECT_EQ(task.machine.network->forwards[0].guest_port, 80);
  EXPECT_EQ(task.machine.network->forwards[1].protocol, "udp");
  ASSERT_TRUE(task.container.network);
  EXPECT_EQ(task.container.network->address, "10.0.2.15");
  EXPECT_EQ(task.container.network->gateway, "10.0.2.2");
  EXPECT_EQ(task.container.network->resolver, "10.0.2.3");
  EXPECT_THAT(task.container.network->published_udp, ElementsAre(53));
  EXPECT_THAT(task.container.resolv_conf, ElementsAre("nameserver 10.0.2.3", "search corp.test", "options edns0"));
  EXPECT_THAT(good().warnings, IsEmpty());

  spec_.network = "none";
  task = good().task;
  EXPECT_FALSE(task.machine.network);
  EXPECT_FALSE(task.container.network);
  EXPECT_THAT(task.container.resolv_conf, ElementsAre("search corp.test", "options edns0"));
  EXPECT_THAT(good().warnings, ElementsAre(HasSubstr("not published")));
}

TEST(PlanPorts, PublishesAllThatIsExposedAndNotPublishedAlready) {
  ContainerSpec spec;
  spec.ports = {{.host_port = 8080, .container_port = 80}};
  spec.expose = {"90-91", "53/udp"};
  ImageDefaults image;
  image.exposed_ports = {"80/tcp", "80/udp", "nonsense", "90"};
  EXPECT_EQ(plan_ports(spec, image).value(), spec.ports);
  spec.publish_all = true;
  std::vector<std::string> got;
  auto planned = plan_ports(spec, image);
  ASSERT_TRUE(planned) << test::error_of(planned);
  for (const PortMapping& port : *planned)
    got.push_back(std::to_string(port.host_port) + ":" + std::to_string(port.container_port) + "/" + port.protocol);
  EXPECT_THAT(got, ElementsAre("8080:80/tcp", "0:90/tcp", "0:91/tcp", "0:53/udp", "0:80/udp"));
  spec.expose = {"nonsense"};
  EXPECT_FALSE(plan_ports(spec, image));
}

TEST_F(PlanTest, RefusesWhatCannotBeAndNamesIt) {
  const std::pair<const char*, std::function<void(ContainerSpec&)>> cases[] = {
      {"cpus", [](ContainerSpec& spec) { spec.cpus = 0; }},
      {"cpus", [](ContainerSpec& spec) { spec.cpus = -0.5; }},
      {"cpus", [](ContainerSpec& spec) { spec.cpus = std::nan(""); }},
      {"cpus", [](ContainerSpec& spec) { spec.cpus = std::numeric_limits<double>::infinity(); }},
      {"host name \"-x\"", [](ContainerSpec& spec) { spec.hostname = "-x"; }},
      {"host name \"a b\"", [](ContainerSpec& spec) { spec.hostname = "a b"; }},
      {"host name", [](ContainerSpec& spec) { spec.hostname = std::string(65, 'a'); }},
      {"working directory \"tmp\"", [](ContainerSpec& spec) { spec.working_dir = "tmp"; }},
      {"network \"other\"", [](ContainerSpec& spec) { spec.network = "other"; }},
      {"dns \"x\"", [](ContainerSpec& spec) { spec.dns = {"x"}; }},
      {"dns search domain \"a b\"", [](ContainerSpec& spec) { spec.dns_search = {"a b"}; }},
      {"add host \"x\"", [](ContainerSpec& spec) { spec.extra_hosts = {"x"}; }},
      {"tmpfs \"run\"", [](ContainerSpec& spec) { spec.tmpfs = {{"run", ""}}; }},
      {"tmpfs \"\"", [](ContainerSpec& spec) { spec.tmpfs = {{"", ""}}; }},
  };
  for (const auto& [what, spoil] : cases) {
    ContainerSpec before = spec_;
    spoil(spec_);
    auto refused = plan();
    ASSERT_FALSE(refused) << what;
    EXPECT_EQ(refused.error().code, Errc::invalid_argument) << what;
    EXPECT_THAT(refused.error().message, HasSubstr(what));
    spec_ = before;
  }
}

TEST_F(PlanTest, HostSocketsHaveTcpPortsAndNoNic) {
  spec_.network = "tsi";
  ports_ = {{.host_address = "0.0.0.0", .host_port = 8080, .container_port = 80}};
  Plan made = good();
  EXPECT_FALSE(made.task.machine.network);
  EXPECT_FALSE(made.task.container.network);
  ASSERT_TRUE(made.task.machine.host_sockets);
  EXPECT_EQ(made.task.machine.host_sockets->forwards.at(0).guest_port, 80);
  for (auto [protocol, address] : {std::pair("udp", "0.0.0.0"), {"tcp", "127.0.0.1"}}) {
    ports_[0].protocol = protocol;
    ports_[0].host_address = address;
    auto refused = plan();
    ASSERT_FALSE(refused) << protocol << address;
    EXPECT_EQ(refused.error().code, Errc::unsupported);
  }
}

TEST_F(PlanTest, AGpuIsGivenWhereItIsAskedFor) {
  EXPECT_FALSE(good().task.machine.gpu);
  spec_.gpu_window_bytes = 1ULL << 30;
  EXPECT_EQ(good().task.machine.gpu->window_bytes, 1ULL << 30);
}

}  // namespace
}  // namespace diatom
