#include "channel/reports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diatom::channel {
namespace {

using testing::HasSubstr;

TEST(Reports, StatsSurviveTheWay) {
  Stats stats;
  stats.cpu = {1, 2, 3, 4, 5, 6};
  stats.memory = {7, 8, 9, 10, 11, 12, 13, 14};
  stats.io = {15, 16, 17, 18, {{254, 0, 19, 20, 21, 22}, {254, 16, 0, 0, 0, 0}}};
  stats.pids = {23, UINT64_MAX};
  stats.interfaces = {{"eth0", 24, 25, 26, 27, 28, 29, 30, 31}, {"\xff", 0, 0, 0, 0, 0, 0, 0, 0}};
  stats.online_cpus = 32;
  stats.time_us = 33;
  stats.uptime_us = 34;
  stats.agent_rss_bytes = 35;
  stats.agent_processes = 36;
  std::string text = encode(stats);
  for (int number = 1; number <= 36; ++number)
    EXPECT_THAT(text, testing::ContainsRegex("[:]" + std::to_string(number) + "[,}]")) << "every field is there";
  auto decoded = decode_stats(text);
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(encode(*decoded), text);
  EXPECT_EQ(decoded->io.devices.at(0).writes, 22U);
  EXPECT_EQ(decoded->interfaces.at(1).name, "\xff");
}

TEST(Reports, AProcessListSurvivesTheWay) {
  ProcessList list;
  list.total = 5000;
  ProcessEntry& entry = list.processes.emplace_back();
  entry = {
      7, 1, 1000, "user", "S", "pts/0", 1'700'000'000, 20, 30, 40, 50, -20, 60, "a (b)", std::string("a\0\xff b\0", 6)};
  auto decoded = decode_process_list(encode(list));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(encode(*decoded), encode(list));
  EXPECT_EQ(decoded->processes.at(0).nice, -20);
  EXPECT_EQ(decoded->processes.at(0).cmdline, entry.cmdline);
}

TEST(Reports, WhatAGuestDoesNotSayIsNothing) {
  auto stats = decode_stats("{}");
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->memory.current, 0U);
  EXPECT_TRUE(stats->interfaces.empty());
  EXPECT_TRUE(decode_process_list("{}").value().processes.empty());
}

TEST(Reports, WhatAGuestSaysWronglyIsRefusedByName) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", "no JSON object"},
      {"[]", "no JSON object"},
      {R"({"cpu":1})", "in \"cpu\": it is no JSON object"},
      {R"({"cpu":{"usage_us":-1}})", "in \"cpu\": field \"usage_us\""},
      {R"({"io":{"devices":{}}})", "in \"io\": field \"devices\""},
      {R"({"io":{"devices":[{"major":4294967296}]}})", "field \"major\""},
      {R"({"interfaces":[{"name":1}]})", "field \"name\""},
      {R"({"online_cpus":1.5})", "field \"online_cpus\""},
  };
  for (auto [text, reason] : cases) {
    auto decoded = decode_stats(text);
    ASSERT_FALSE(decoded) << text;
    EXPECT_THAT(decoded.error().message, HasSubstr(reason)) << text;
  }
  for (std::string_view text : {R"({"processes":[{"nice":2147483648}]})", R"({"processes":[{"nice":-2147483649}]})",
                                R"({"processes":[1]})", R"({"total":-1})", R"({"processes":[{"pid":"1"}]})"})
    EXPECT_FALSE(decode_process_list(text)) << text;
}

TEST(Reports, AClockReadingSurvivesTheWayUnlessItIsBeforeItsBeginning) {
  EXPECT_EQ(decode_clock_reading(encode(ClockReading{INT64_MAX})).value().monotonic_ns, INT64_MAX);
  for (std::string_view text : {"", "[]", R"({"monotonic_ns":-1})", R"({"monotonic_ns":"1"})"})
    EXPECT_FALSE(decode_clock_reading(text)) << text;
}

TEST(Reports, AListThatIsTooLongIsRefused) {
  ProcessList list;
  list.processes.resize(most_listed_processes);
  EXPECT_TRUE(decode_process_list(encode(list)));
  list.processes.emplace_back();
  EXPECT_FALSE(decode_process_list(encode(list)));
}

}  // namespace
}  // namespace diatom::channel
