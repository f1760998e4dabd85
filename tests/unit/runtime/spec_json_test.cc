#include "runtime/spec_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>

namespace diatom {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(PrintSpec, SaysWhatWasDecided) {
  ContainerSpec spec;
  spec.image = "busybox";
  spec.tty = true;
  spec.tmpfs = {{"/run", "size=1m"}};
  spec.labels = {{"a", "1"}, {"b", ""}};
  Plan plan;
  plan.task.process.argv = {"sh", "-c", "echo \"hi\""};
  plan.task.process.env = {"A=1"};
  plan.task.process.user = "www";
  plan.task.container.hostname = "host";
  plan.task.machine.vcpus = 3;
  plan.task.machine.memory_bytes = 1 << 30;
  EXPECT_EQ(json::parse(print_spec(spec, plan)), json::parse(R"({
    "Network": "none", "Ports": [], "Image": "busybox", "Cmd": ["sh", "-c", "echo \"hi\""], "Env": ["A=1"], "WorkingDir": "/", "User": "www",
    "Hostname": "host", "Tty": true, "OpenStdin": false, "ReadonlyRootfs": false, "Tmpfs": {"/run": "size=1m"},
    "Labels": {"a": "1", "b": ""}, "Cpus": 3, "Memory": 1073741824, "AutoRemove": false,
    "Entrypoint": null, "Arguments": null, "ExposedPorts": [], "Healthcheck": null, "StopSignal": "SIGTERM"})"));
}

TEST(PrintSpec, SaysWhereTheWordsOfTheCommandComeFrom) {
  struct Case {
    std::optional<std::vector<std::string>> entrypoint;
    std::vector<std::string> args;
    const char* printed_entrypoint;
    const char* printed_arguments;
  };
  ImageDefaults image;
  image.entrypoint = {"entry"};
  image.cmd = {"image"};
  for (const Case& one : {Case{std::nullopt, {}, R"(["entry"])", R"(["image"])"},
                          Case{std::nullopt, {"mine"}, R"(["entry"])", R"(["mine"])"},
                          Case{std::vector<std::string>{"other"}, {}, R"(["other"])", "null"},
                          Case{std::vector<std::string>(), {"mine"}, "null", R"(["mine"])"}}) {
    ContainerSpec spec;
    spec.entrypoint = one.entrypoint;
    spec.args = one.args;
    json printed = json::parse(print_spec(spec, {}, image));
    EXPECT_EQ(printed["Entrypoint"], json::parse(one.printed_entrypoint));
    EXPECT_EQ(printed["Arguments"], json::parse(one.printed_arguments));
  }
}

TEST(PrintSpec, NamesWhatTheImageAndTheSpecExposeAndHowHealthIsChecked) {
  ContainerSpec spec;
  spec.ports = {{.container_port = 80}};
  spec.expose = {"90-91/udp"};
  ImageDefaults image;
  image.stop_signal = "SIGQUIT";
  image.exposed_ports = {"80/tcp", "443"};
  Plan plan;
  plan.health.emplace().command = {"/bin/sh", "-c", "true"};
  json printed = json::parse(print_spec(spec, plan, image));
  EXPECT_EQ(printed["ExposedPorts"], json::parse(R"(["443/tcp", "80/tcp", "90/udp", "91/udp"])"));
  EXPECT_EQ(printed["Healthcheck"]["Test"], json::parse(R"(["CMD-SHELL", "true"])"));
  EXPECT_EQ(printed["StopSignal"], "SIGQUIT");
  plan.health->command = {"check"};
  EXPECT_EQ(json::parse(print_spec(spec, plan))["Healthcheck"]["Test"], json::parse(R"(["CMD", "check"])"));
}

TEST(PrintSpec, NamesThePortsAsTheyArePublished) {
  Plan plan;
  plan.task.machine.network.emplace();
  plan.task.machine.network->forwards = {{"udp", "127.0.0.1", 40000, 53}};
  json printed = json::parse(print_spec({}, plan));
  EXPECT_EQ(printed["Network"], "default");
  EXPECT_EQ(printed["Ports"], json::parse(R"([{"HostAddress": "127.0.0.1", "HostPort": 40000, "ContainerPort": 53,
                                              "Protocol": "udp"}])"));
}

TEST(PrintSpec, IsJsonWhateverBytesTheSpecHas) {
  ContainerSpec spec;
  spec.labels = {{"\xff", "\xfe"}};
  spec.tmpfs = {{"/\xff", ""}};
  Plan plan;
  plan.task.process.argv = {"caf\xe9", std::string("nul\0here", 8)};
  std::string text = print_spec(spec, plan);
  EXPECT_TRUE(json::accept(text)) << text;
  EXPECT_EQ(command_of(text).size(), 2U);
}

TEST(CommandOf, ReadsItBackAndTakesAnythingElseAsNone) {
  EXPECT_THAT(command_of(R"({"Cmd":["a","b c"]})"), ElementsAre("a", "b c"));
  for (const char* text : {"", "{", "[]", "null", "{}", R"({"Cmd":"a"})", R"({"Cmd":[1,{}]})"})
    EXPECT_THAT(command_of(text), IsEmpty()) << text;
}

}  // namespace
}  // namespace diatom
