#include "diatom/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diatom {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

ServiceSpec nginx() {
  ServiceSpec spec;
  spec.image = "nginx";
  return spec;
}

TEST(ReplicaRequest, IsNamedAfterServiceAndReplica) {
  ServiceSpec spec = nginx();
  spec.labels = {{"tier", "front"}};
  ContainerSpec container = replica_request({"web", 3}, spec)->container;
  EXPECT_EQ(container.name, "web-3");
  EXPECT_THAT(container.labels,
              UnorderedElementsAre(Pair("tier", "front"), Pair("diatom.service", "web"), Pair("diatom.replica", "3")));
}

TEST(ReplicaRequest, SaysWhatTheServiceSays) {
  ServiceSpec spec = nginx();
  spec.pull = PullPolicy::newer;
  spec.resources = {.cpu = 0.5, .memory = "1g"};
  spec.env = {{"A", "1"}, {"PATH", std::nullopt}};
  spec.entrypoint = {"/entry"};
  spec.args = {"a"};
  spec.working_dir = "/w";
  spec.user = "1:2";
  spec.ports = {{.host_port = 8080, .container_port = 80}};
  spec.restart = {RestartPolicy::Kind::always};
  spec.health = HealthCheck{.command = {"true"}};
  ContainerRequest request = *replica_request({"web", 0}, spec);
  const ContainerSpec& container = request.container;
  EXPECT_EQ(request.pull, PullPolicy::newer);
  EXPECT_EQ(container.cpus, 0.5);
  EXPECT_EQ(container.memory_bytes, 1ULL << 30);
  EXPECT_THAT(container.env, ElementsAre("A=1", "PATH"));
  EXPECT_THAT(*container.entrypoint, ElementsAre("/entry"));
  EXPECT_THAT(container.args, ElementsAre("a"));
  EXPECT_EQ(container.working_dir, "/w");
  EXPECT_EQ(container.user, "1:2");
  EXPECT_EQ(container.ports, spec.ports);
  EXPECT_EQ(container.restart, spec.restart);
  EXPECT_THAT(container.health->command, ElementsAre("true"));
}

TEST(ReplicaRequest, LeavesContractsDefaultsWhereNothingIsSaid) {
  ContainerSpec container = replica_request({"web", 0}, nginx())->container;
  EXPECT_EQ(container.cpus, 2);
  EXPECT_EQ(container.memory_bytes, 512ULL << 20);
  EXPECT_EQ(container.entrypoint, std::nullopt);
  EXPECT_EQ(container.health, std::nullopt);
}

TEST(ReplicaRequest, RefusesWhatItCannotHonourByName) {
  auto refusal = [](const ContainerId& id, auto change) {
    ServiceSpec spec = nginx();
    change(spec);
    auto request = replica_request(id, spec);
    return request ? Error{Errc::internal, "it was taken", "", 0} : request.error();
  };
  Error gpu = refusal({"web", 0}, [](auto& spec) { spec.resources.gpu = 2; });
  EXPECT_EQ(gpu.code, Errc::unsupported);
  EXPECT_THAT(gpu.message, HasSubstr("gpu 2"));
  EXPECT_THAT(refusal({"web", 0}, [](auto& spec) { spec.resources.memory = "lots"; }).message, HasSubstr("\"lots\""));
  EXPECT_THAT(refusal({"web", 0}, [](auto& spec) { spec.labels["diatom.replica"] = "9"; }).message,
              HasSubstr("diatom.replica"));
  EXPECT_THAT(refusal({"web", 0}, [](auto& spec) { spec.env["A=B"] = "1"; }).message, HasSubstr("\"A=B\""));
  EXPECT_THAT(refusal({"web", 0}, [](auto& spec) { spec.image.clear(); }).message, HasSubstr("image"));
  for (const char* service : {"", "-web", "a b", "a/b", "\n"})
    EXPECT_THAT(refusal({service, 0}, [](auto&) {}).message, HasSubstr("service name \"")) << service;
}

TEST(ContainerDocument, IsAReplicaOfAService) {
  ContainerRequest request = *parse_container_request(R"({
    "service": "web", "replica": 2, "image": "nginx:1", "pull_policy": "never",
    "resources": {"cpu": 1.5, "memory": "512m", "gpu": 0}, "env": {"A": "1", "B": null},
    "entrypoint": [], "args": ["x"], "working_dir": "/w", "user": "www",
    "ports": ["8080:80", {"host_address": "::1", "container_port": 53, "protocol": "udp"}],
    "restart": "on-failure:3", "health": {"command": ["true"], "interval": "5s"}, "labels": {"k": "v"}})");
  const ContainerSpec& container = request.container;
  EXPECT_EQ(container.name, "web-2");
  EXPECT_EQ(request.pull, PullPolicy::never);
  EXPECT_EQ(container.cpus, 1.5);
  EXPECT_EQ(container.memory_bytes, 512ULL << 20);
  EXPECT_THAT(container.env, ElementsAre("A=1", "B"));
  EXPECT_THAT(container.entrypoint, testing::Optional(IsEmpty()));
  EXPECT_THAT(container.ports,
              ElementsAre(PortMapping{.host_port = 8080, .container_port = 80},
                          PortMapping{.host_address = "::1", .container_port = 53, .protocol = "udp"}));
  EXPECT_EQ(container.restart, (RestartPolicy{RestartPolicy::Kind::on_failure, 3}));
  EXPECT_EQ(container.health->interval, std::chrono::seconds(5));
  EXPECT_EQ(container.health->timeout, std::chrono::seconds(30));
  EXPECT_THAT(container.labels, Contains(Pair("diatom.replica", "2")));
}

TEST(ContainerDocument, IsAContainerOfItsOwnWithAllThatOneHas) {
  ContainerSpec container = parse_container_request(R"({
    "name": "one", "image": "x", "hostname": "h", "tty": true, "open_stdin": true, "stdin_once": true,
    "read_only": true, "tmpfs": ["/run:size=1m"], "network": "none", "no_template": true, "publish_all": true, "expose": ["80"],
    "dns": ["1.1.1.1"], "dns_search": ["."], "dns_options": ["ndots:1"], "extra_hosts": ["a:1.2.3.4"],
    "disk_size": "1g", "engine": "qemu", "auto_remove": true, "stop_signal": "INT", "stop_timeout": "3s",
    "log": {"max_size": "1m", "max_files": 2}, "init": true, "privileged": true, "no_new_privileges": true,
    "cap_add": ["NET_ADMIN"], "cap_drop": ["ALL"], "group_add": ["wheel"], "ulimits": ["nofile=1:2"],
    "sysctls": {"net.a": "1"}, "shm_size": 4096, "pids_limit": 10})")
                                ->container;
  EXPECT_EQ(container.name, "one");
  EXPECT_THAT(container.labels, IsEmpty());
  EXPECT_EQ(container.tmpfs.at(0).options, "size=1m");
  EXPECT_EQ(container.disk_bytes, 1ULL << 30);
  EXPECT_EQ(container.stop_timeout, std::chrono::seconds(3));
  EXPECT_EQ(container.log.max_bytes, 1ULL << 20);
  EXPECT_EQ(container.ulimits.at(0).hard, 2u);
  EXPECT_EQ(container.shm_bytes, 4096u);
  EXPECT_EQ(container.pids_limit, 10u);
  EXPECT_TRUE(container.tty && container.open_stdin && container.stdin_once && container.read_only &&
              container.publish_all && container.auto_remove && container.init && container.privileged &&
              container.no_new_privileges && container.no_template);
}

TEST(ContainerDocument, TakesMemoryInEveryForm) {
  const std::pair<std::string_view, uint64_t> cases[] = {{"\"512Mi\"", 512ULL << 20}, {"\"2Gi\"", 2ULL << 30},
                                                         {"\"64Ki\"", 64ULL << 10},   {"\"512m\"", 512ULL << 20},
                                                         {"\"1g\"", 1ULL << 30},      {"268435456", 256ULL << 20}};
  for (auto [memory, bytes] : cases) {
    auto request =
        parse_container_request("{\"image\": \"x\", \"resources\": {\"memory\": " + std::string(memory) + "}}");
    ASSERT_TRUE(request) << memory << ": " << request.error().message;
    EXPECT_EQ(request->container.memory_bytes, bytes) << memory;
  }
}

TEST(ContainerDocument, NamesWhatItRefuses) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"({})", "image: it is missing"},
      {R"({"image": "x", "gpus": 1})", "there is no field \"gpus\""},
      {R"({"image": "x", "resources": {"gpus": 1}})", "there is no field \"resources.gpus\""},
      {R"({"image": "x", "resources": {"gpu": 2}})", "gpu 2"},
      {R"({"image": "x", "resources": {"memory": "12zz"}})", "resources.memory: parse memory \"12zz\""},
      {R"({"image": "x", "resources": {"memory": 1.5}})", "\"1.5\""},
      {R"({"image": "x", "resources": {"memory": -1}})", "\"-1\""},
      {R"({"image": "x", "resources": {"cpu": 0}})", "resources.cpu: parse cpus \"0\""},
      {R"({"image": "x", "resources": {"cpu": "many"}})", "\"many\""},
      {R"({"service": "web", "image": "x"})", "replica: it is missing"},
      {R"({"replica": 1, "image": "x"})", "service: it is missing"},
      {R"({"service": "web", "replica": 1, "name": "n", "image": "x"})", "name: a replica's"},
      {R"({"service": "web", "replica": -1, "image": "x"})", "replica: it is no whole number"},
      {R"({"image": "x", "ports": ["no"]})", "ports: "},
      {R"({"image": "x", "ports": [{"container_port": 0}]})", "ports: "},
      {R"({"image": "x", "ports": [{"container_port": 80, "host": 1}]})", "\"ports.host\""},
      {R"({"image": "x", "ports": [80]})", "neither a text nor an object"},
      {R"({"image": "x", "restart": "maybe"})", "restart: parse restart policy \"maybe\""},
      {R"({"image": "x", "pull_policy": "now"})", "pull_policy: parse pull policy \"now\""},
      {R"({"image": "x", "health": {"interval": "soon"}})", "health.interval: parse duration \"soon\""},
      {R"({"image": "x", "env": {"A": 1}})", "env: the value of \"A\" is no text"},
      {R"({"image": "x", "env": {"": "1"}})", "env \"\""},
      {R"({"image": "x", "env": ["A=1"]})", "env: it is no object"},
      {R"({"image": "x", "stop_timeout": "1500ms"})", "stop_timeout"},
      {R"({"image": "x", "log": {"max_files": 0}})", "log.max_files: from 1 to 100"},
      {R"({"image": "x", "ulimits": ["nofile"]})", "ulimits: "},
  };
  for (auto [json, words] : cases) {
    auto request = parse_container_request(json);
    ASSERT_FALSE(request) << json;
    EXPECT_THAT(request.error().message, HasSubstr(words)) << json;
  }
}

}  // namespace
}  // namespace diatom
