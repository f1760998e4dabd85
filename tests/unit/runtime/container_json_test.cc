// The shape of `inspect`: docker's names, so that templates written for docker work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "runtime/json/documents.h"

namespace diatom {
namespace {

ContainerInfo web() {
  ContainerInfo info;
  info.id = "0123";
  info.name = "web";
  info.state = "running";
  info.image_id = "sha256:9";
  info.image = "nginx";
  info.spec.restart = {.kind = RestartPolicy::Kind::on_failure, .max_retries = 3};
  info.spec.cpus = 1.5;
  info.spec.ports = {{.host_port = 0, .container_port = 80}};
  info.spec.labels = {{"tier", "front"}};
  info.spec.stop_timeout = std::chrono::seconds(7);
  info.spec.ulimits = {{"core", 0, Ulimit::unlimited}};
  info.command = {"nginx", "-g", "daemon off;"};
  info.ports = {{.host_address = "127.0.0.1", .host_port = 8080, .container_port = 80}};
  info.address = "10.0.2.15";
  info.health = {"healthy", 0, {{.started_ns = 1, .ended_ns = 2, .exit_code = 0, .output = "ok"}}};
  info.start_kind = "warm";
  info.stages = {{"begin", 1'790'000'000'000'000'000}, {"vmm", 1'790'000'000'012'345'678}};
  info.spec_json = R"({"Hostname": "h", "User": "u", "Env": ["A=1"], "Cmd": ["nginx", "-g", "daemon off;"],
    "Entrypoint": ["nginx"], "Arguments": ["-g", "daemon off;"], "WorkingDir": "/w", "ExposedPorts": ["80/tcp", "443/tcp"],
    "StopSignal": "SIGQUIT", "Gateway": "10.0.2.2", "IPPrefixLen": 24, "MacAddress": "02:00", "Cpus": 2, "Memory": 5})";
  return info;
}

TEST(ContainerJson, HasDockersFields) {
  Json json = container_json(web());
  const std::pair<const char*, const char*> cases[] = {
      {"/Id", R"("0123")"},
      {"/Name", R"("/web")"},
      {"/Path", R"("nginx")"},
      {"/Args", R"(["-g","daemon off;"])"},
      {"/Image", R"("sha256:9")"},
      {"/State/Status", R"("running")"},
      {"/State/Running", "true"},
      {"/State/FinishedAt", R"("0001-01-01T00:00:00Z")"},
      {"/State/Health/Status", R"("healthy")"},
      {"/State/Health/Log/0/Output", R"("ok")"},
      {"/HostConfig/NanoCpus", "1500000000"},
      {"/HostConfig/Memory", "536870912"},
      {"/HostConfig/PidsLimit", "null"},
      {"/HostConfig/RestartPolicy", R"({"Name":"on-failure","MaximumRetryCount":3})"},
      {"/HostConfig/PortBindings", R"({"80/tcp":[{"HostIp":"127.0.0.1","HostPort":""}]})"},
      {"/HostConfig/NetworkMode", R"("default")"},
      {"/HostConfig/Ulimits", R"([{"Name":"core","Soft":0,"Hard":-1}])"},
      {"/HostConfig/LogConfig/Config/max-file", R"("5")"},
      {"/Config/Image", R"("nginx")"},
      {"/Config/Entrypoint", R"(["nginx"])"},
      {"/Config/Cmd", R"(["-g","daemon off;"])"},
      {"/Config/Env", R"(["A=1"])"},
      {"/Config/Labels", R"({"tier":"front"})"},
      {"/Config/ExposedPorts", R"({"80/tcp":{},"443/tcp":{}})"},
      {"/Config/StopSignal", R"("SIGQUIT")"},
      {"/Config/StopTimeout", "7"},
      {"/Config/Healthcheck", "null"},
      {"/NetworkSettings/IPAddress", R"("10.0.2.15")"},
      {"/NetworkSettings/Gateway", R"("10.0.2.2")"},
      {"/NetworkSettings/Ports", R"({"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"}],"443/tcp":null})"},
      {"/NetworkSettings/Networks/default/MacAddress", R"("02:00")"},
      {"/Engine/Cpus", "2"},
      {"/Engine/Start", R"("warm")"},
      {"/Engine/Stages/0", R"({"Name":"begin","Time":"2026-09-21T14:13:20.000000000Z","Milliseconds":0.0})"},
      {"/Engine/Stages/1", R"({"Name":"vmm","Time":"2026-09-21T14:13:20.012345678Z","Milliseconds":12.345})"},
  };
  for (const auto& [path, value] : cases) {
    Json::json_pointer at(path);
    ASSERT_TRUE(json.contains(at)) << path;
    EXPECT_EQ(json[at].dump(), value) << path;
  }
}

TEST(ContainerJson, TellsEachStateInDockersFlags) {
  struct Case {
    const char* state;
    bool running, paused, restarting;
  };
  for (const Case& one : {Case{"created", false, false, false}, Case{"running", true, false, false},
                          Case{"paused", true, true, false}, Case{"restarting", true, false, true},
                          Case{"exited", false, false, false}, Case{"failed", false, false, false}}) {
    ContainerInfo info;
    info.state = one.state;
    Json state = container_json(info)["State"];
    EXPECT_EQ(state["Running"], one.running) << one.state;
    EXPECT_EQ(state["Paused"], one.paused) << one.state;
    EXPECT_EQ(state["Restarting"], one.restarting) << one.state;
    EXPECT_FALSE(state.contains("Health")) << one.state;
  }
}

TEST(ContainerJson, CanBeMadeOfARecordThatMakesNoSense) {
  for (const char* text : {"", "{", "[]", "null", "{}", R"({"Env": 3, "Hostname": [], "ExposedPorts": {}})"}) {
    ContainerInfo info;
    info.spec_json = text;
    EXPECT_EQ(container_json(info)["Config"]["Hostname"], "") << text;
  }
}

TEST(ContainerJson, HasTheWholeCommandOfAnOlderRecord) {
  ContainerInfo info;
  info.spec_json = R"({"Cmd": ["a", "b"]})";
  EXPECT_EQ(container_json(info)["Config"]["Cmd"].dump(), R"(["a","b"])");
}

}  // namespace
}  // namespace diatom
