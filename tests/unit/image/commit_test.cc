// The config of an image that is made of a container: its parent's, what the container was asked to be, and the
// changes.
#include "image/commit.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/scratch.h"

namespace diatom::image {
namespace {

using nlohmann::json;

constexpr const char* parent = R"({"architecture": "amd64", "os": "linux", "container": "x",
    "config": {"Env": ["PATH=/bin", "OLD=1"], "Cmd": ["sh"], "Labels": {"a": "b"}},
    "history": [{"created_by": "base"}], "rootfs": {"type": "layers", "diff_ids": ["sha256:one", "sha256:two"]}})";

json config_of(const ContainerSpec& spec, const CommitOptions& options, const std::string& diff_id) {
  CommitInput input{.parent = "", .spec = spec, .command = {"echo", "hi"}, .options = options};
  auto text = commit_config(parent, input, diff_id, "2026-01-01T00:00:00Z");
  EXPECT_TRUE(text) << test::error_of(text);
  return json::parse(text.value_or("{}"));
}

TEST(CommitConfig, SaysWhatTheContainerWasAskedToBe) {
  ContainerSpec spec;
  spec.env = {"NEW=2", "OLD"};
  spec.args = {"echo", "hi"};
  spec.working_dir = "/w";
  spec.user = "7";
  spec.labels = {{"c", "d"}};
  spec.expose = {"80", "53/udp"};
  spec.health = HealthCheck{.command = {}};
  json config = config_of(spec, {}, "sha256:three").at("config");
  EXPECT_EQ(config.at("Env"), json({"PATH=/bin", "NEW=2"}));
  EXPECT_EQ(config.at("Cmd"), json({"echo", "hi"}));
  EXPECT_EQ(config.at("WorkingDir"), "/w");
  EXPECT_EQ(config.at("User"), "7");
  EXPECT_EQ(config.at("Labels"), json({{"a", "b"}, {"c", "d"}}));
  EXPECT_TRUE(config.at("ExposedPorts").contains("80/tcp") && config.at("ExposedPorts").contains("53/udp"));
  EXPECT_EQ(config.at("Healthcheck").at("Test"), json::array({"NONE"}));
}

TEST(CommitConfig, ANewEntrypointDropsTheOldCommand) {
  ContainerSpec spec;
  spec.entrypoint = {"/run"};
  CommitOptions options;
  options.changes = {"ENV A=1"};
  json config = config_of(spec, options, "").at("config");
  EXPECT_EQ(config.at("Entrypoint"), json::array({"/run"}));
  EXPECT_FALSE(config.contains("Cmd"));
  EXPECT_EQ(config.at("Env").back(), "A=1");  // the changes come last
}

TEST(CommitConfig, ItsHistoryTellsOfItsOwnLayer) {
  CommitOptions options;
  options.author = "me";
  options.message = "why";
  json document = config_of({}, options, "sha256:three");
  EXPECT_EQ(document.at("rootfs").at("diff_ids"), json({"sha256:one", "sha256:two", "sha256:three"}));
  // The parent's says nothing of its second layer.
  ASSERT_EQ(document.at("history").size(), 3U);
  json step = document.at("history").back();
  EXPECT_EQ(step.at("created_by"), "echo hi");
  EXPECT_EQ(step.at("comment"), "why");
  EXPECT_EQ(step.at("author"), "me");
  EXPECT_FALSE(step.contains("empty_layer"));
  EXPECT_EQ(document.at("author"), "me");
  EXPECT_FALSE(document.contains("container"));
}

TEST(CommitConfig, NothingChangedIsNoLayer) {
  json document = config_of({}, {}, "");
  EXPECT_EQ(document.at("rootfs").at("diff_ids").size(), 2U);
  EXPECT_EQ(document.at("history").back().at("empty_layer"), true);
}

}  // namespace
}  // namespace diatom::image
