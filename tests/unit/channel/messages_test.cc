#include "channel/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diatom::channel {
namespace {

using testing::HasSubstr;

TEST(Messages, AProcessConfigSurvivesTheWay) {
  ProcessConfig config;
  config.argv = {"/bin/sh", "-c", "true"};
  config.env = {"A=1", "B="};
  config.cwd = "/w";
  config.user = "web:www";
  config.tty = true;
  config.rows = 65535;
  config.cols = 1;
  config.open_stdin = true;
  config.groups = {"extra", "7"};
  config.detached = true;
  config.privileged = true;
  auto decoded = decode_process_config(encode(config));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->groups, config.groups);
  EXPECT_TRUE(decoded->detached && decoded->privileged);
  EXPECT_EQ(decoded->argv, config.argv);
  EXPECT_EQ(decoded->env, config.env);
  EXPECT_EQ(decoded->cwd, config.cwd);
  EXPECT_EQ(decoded->user, config.user);
  EXPECT_TRUE(decoded->tty && decoded->open_stdin);
  EXPECT_EQ(decoded->rows, 65535);
  EXPECT_EQ(decoded->cols, 1);
}

TEST(Messages, APreparationSurvivesTheWay) {
  Preparation preparation;
  preparation.container.has_upper = false;
  preparation.container.network.emplace().address = "10.0.2.15";
  preparation.program = "/bin/sh";
  preparation.env = {"PATH=/bin"};
  auto decoded = decode_preparation(encode(preparation));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_FALSE(decoded->container.has_upper);
  EXPECT_EQ(decoded->container.network.value().address, "10.0.2.15");
  EXPECT_EQ(decoded->program, "/bin/sh");
  EXPECT_EQ(decoded->env, preparation.env);
  preparation.container.network->prefix = 33;
  EXPECT_FALSE(decode_preparation(encode(preparation)));
}

TEST(Messages, AToolHasNoTerminal) {
  ProcessConfig config;
  config.tool = "pack";
  config.argv = {"/etc", "follow"};
  auto decoded = decode_process_config(encode(config));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->tool, "pack");
  config.tty = true;
  EXPECT_FALSE(decode_process_config(encode(config)));
}

TEST(Messages, AContainerConfigSurvivesTheWay) {
  ContainerConfig config;
  config.hostname = "h";
  config.resolv_conf = {"nameserver 1.1.1.1"};
  config.extra_hosts = {"::1 x"};
  config.read_only = true;
  config.has_upper = false;
  config.tmpfs = {{"/t", "size=1m"}, {"/u", ""}};
  config.shm_bytes = UINT64_MAX;
  config.cpu_quota_us = 1;
  config.pids_max = 2;
  config.clock_offset_ns = 1'790'000'000'123'456'789;
  config.entropy = std::string("\0\xff\x80", 3);
  config.network = {.interface = "eth1",
                    .mac = "02:00:00:00:00:07",
                    .address = "10.0.2.15",
                    .prefix = 8,
                    .gateway = "10.0.2.2",
                    .resolver = "10.0.2.3",
                    .published_udp = {53, 65535}};
  config.memory_max = 3;
  config.init = true;
  config.ulimits = {{"nofile", 1, unlimited}};
  config.sysctls = {{"net.core.somaxconn", "4"}};
  config.cap_add = {"ALL"};
  config.cap_drop = {"CHOWN", "KILL"};
  config.privileged = true;
  config.no_new_privileges = true;
  auto decoded = decode_container_config(encode(config));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->memory_max, 3U);
  EXPECT_EQ(decoded->clock_offset_ns, config.clock_offset_ns);
  EXPECT_EQ(decoded->entropy, config.entropy);
  EXPECT_TRUE(decoded->init && decoded->privileged && decoded->no_new_privileges);
  ASSERT_EQ(decoded->ulimits.size(), 1U);
  EXPECT_EQ(decoded->ulimits[0].name, "nofile");
  EXPECT_EQ(decoded->ulimits[0].soft, 1U);
  EXPECT_EQ(decoded->ulimits[0].hard, unlimited);
  EXPECT_EQ(decoded->sysctls.at(0).value, "4");
  EXPECT_EQ(decoded->cap_drop, config.cap_drop);
  EXPECT_EQ(encode(*decoded), encode(config));
  EXPECT_EQ(decoded->tmpfs.at(1).path, "/u");
  EXPECT_EQ(decoded->shm_bytes, UINT64_MAX);
  ASSERT_TRUE(decoded->network);
  EXPECT_EQ(decoded->network->published_udp, config.network->published_udp);
  EXPECT_EQ(decoded->network->prefix, 8);
}

TEST(Messages, AClockThatMakesNoTimeRefusesTheContainer) {
  for (const char* offset : {"-1", "9223372036854775807", "18446744073709551615", "1.5", "\"1\""})
    for (bool taken : {decode_container_config(std::string(R"({"clock_offset_ns":)") + offset + "}").has_value(),
                       decode_identity(std::string(R"({"clock_offset_ns":)") + offset + "}").has_value()})
      EXPECT_FALSE(taken) << offset;
  EXPECT_EQ(decode_container_config(R"({"clock_offset_ns":4611686018427387903})")->clock_offset_ns, INT64_MAX / 2);
}

TEST(Messages, AnIdentitySurvivesTheWay) {
  Identity identity{
      .clock_offset_ns = 7, .entropy = std::string("\0\xff", 2), .hostname = "h", .mac = "02:00:00:00:00:07"};
  auto decoded = decode_identity(encode(identity));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->clock_offset_ns, 7);
  EXPECT_EQ(decoded->entropy, identity.entropy);
  EXPECT_EQ(decoded->hostname, "h");
  EXPECT_FALSE(decode_identity(
      encode(Identity{.clock_offset_ns = 0, .entropy = std::string(513, 'x'), .hostname = {}, .mac = {}})));
}

TEST(Messages, ANetworkOfTheWrongKindRefusesTheContainer) {
  for (const char* network : {"1", "[]", R"({"prefix":33})", R"({"prefix":-1})", R"({"published_udp":[65536]})",
                              R"({"published_udp":["53"]})", R"({"published_udp":53})", R"({"address":1})"})
    EXPECT_FALSE(decode_container_config(std::string(R"({"network":)") + network + "}")) << network;
  auto plain = decode_container_config(R"({"network":{}})");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->network->interface, "eth0");
  EXPECT_FALSE(decode_container_config("{}")->network);
}

TEST(Messages, StringsAreBytes) {
  const std::string cases[] = {"",
                               "plain",
                               std::string("nul\0inside", 10),
                               "\xc3\xa9",
                               "\xff\xfe",
                               "\xc3",
                               "\xed\xa0\x80",  // a surrogate
                               "\xc0\xaf",      // overlong
                               "\xf4\x90\x80\x80",
                               "\"\\\n"};
  for (const std::string& bytes : cases) {
    ProcessConfig config;
    config.argv = {"x", bytes};
    config.cwd = bytes;
    auto decoded = decode_process_config(encode(config));
    ASSERT_TRUE(decoded) << testing::PrintToString(bytes);
    EXPECT_EQ(decoded->argv[1], bytes);
    EXPECT_EQ(decoded->cwd, bytes);
  }
}

TEST(Messages, WhatIsMissingHasItsDefault) {
  auto container = decode_container_config("{}");
  ASSERT_TRUE(container);
  EXPECT_TRUE(container->has_upper);
  EXPECT_EQ(container->shm_bytes, uint64_t{64} << 20);
  auto process = decode_process_config(R"({"argv":["x"],"unknown":[{}]})");
  ASSERT_TRUE(process);
  EXPECT_EQ(process->cwd, "/");
  auto failure = decode_start_failure("{}");
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->exit_code, 125);
}

TEST(Messages, NameTheFieldThatIsWrong) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", "no JSON object"},
      {"[]", "no JSON object"},
      {R"({"argv":"x"})", "\"argv\""},
      {R"({"argv":[1]})", "\"argv\""},
      {R"({"argv":[]})", "names no program"},
      {R"({"argv":[""]})", "names no program"},
      {R"({"argv":["x"],"rows":65536})", "\"rows\""},
      {R"({"argv":["x"],"rows":-1})", "\"rows\""},
      {R"({"argv":["x"],"tty":1})", "\"tty\""},
      {R"({"argv":["x"],"cwd":{"hex":"abc"}})", "\"cwd\""},
      {R"({"argv":["x"],"cwd":{"hex":"AB"}})", "\"cwd\""},
      {R"({"argv":["x"],"cwd":{"base64":"ab"}})", "\"cwd\""},
  };
  for (auto [text, field] : cases) {
    auto decoded = decode_process_config(text);
    ASSERT_FALSE(decoded) << text;
    EXPECT_THAT(decoded.error().message, HasSubstr(field)) << text;
  }
  for (std::string_view text :
       {R"({"tmpfs":{}})", R"({"tmpfs":[1]})", R"({"tmpfs":[{"path":1}]})", R"({"pids_max":-1})",
        R"({"ulimits":[{"soft":-1}]})", R"({"sysctls":"x"})", R"({"init":"yes"})"})
    EXPECT_FALSE(decode_container_config(text)) << text;
}

TEST(Messages, AnExitReportFromAGuestIsWithinTheRangeOfOne) {
  for (std::string_view text : {R"({"code":256})", R"({"signal":65})", R"({"code":-1})", R"({"code":1e3})", "null"})
    EXPECT_FALSE(decode_exit_report(text)) << text;
  auto report = decode_exit_report(R"({"code":137,"signal":9,"oom_killed":true})");
  ASSERT_TRUE(report);
  EXPECT_EQ(report->code, 137);
  EXPECT_TRUE(report->oom_killed);
}

TEST(Messages, AStartFailureHasOneOfDockersCodes) {
  for (int code : {0, 1, 124, 128, 255})
    EXPECT_EQ(decode_start_failure("{\"exit_code\":" + std::to_string(code) + "}").value().exit_code, 125) << code;
  EXPECT_EQ(decode_start_failure(R"({"exit_code":127})").value().exit_code, 127);
}

TEST(Messages, LimitsThatAreAbsentStayAbsent) {
  auto none = decode_limits("{}");
  ASSERT_TRUE(none);
  EXPECT_EQ(encode(*none), "{}");
  auto some = decode_limits(encode(Limits{.cpu_quota_us = 0, .cpu_weight = {}, .memory_max = 5, .pids_max = {}}));
  ASSERT_TRUE(some);
  EXPECT_EQ(some->cpu_quota_us, 0U);
  EXPECT_EQ(some->memory_max, 5U);
  EXPECT_FALSE(some->cpu_weight || some->pids_max);
  for (std::string_view text : {R"({"memory_max":-1})", R"({"pids_max":"x"})", R"({"cpu_weight":0})",
                                R"({"cpu_weight":10001})", R"({"memory_max":null})", "[]"})
    EXPECT_FALSE(decode_limits(text)) << text;
}

// A copy of what was parsed recursed once for each level, until the stack ended.
TEST(Messages, NestedDeepAreRefused) {
  std::string deep = std::string(1 << 14, '[') + std::string(1 << 14, ']');
  EXPECT_FALSE(decode_container_config("{\"tmpfs\":[" + deep + "]}"));
  EXPECT_FALSE(decode_process_config("{\"argv\":" + deep + "}"));
  EXPECT_FALSE(decode_exit_report(deep));
  EXPECT_FALSE(decode_limits("{\"memory_max\":" + deep + "}"));
}

}  // namespace
}  // namespace diatom::channel
