#include "cli/stats_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace diatom::cli {
namespace {

constexpr int64_t second = 1'000'000'000;

TEST(CpuPercent, IsWhatWasUsedOfOneCpuBetweenTwoSamples) {
  auto sample = [](int64_t time_ns, uint64_t cpu_us) {
    ContainerStats stats;
    stats.time_ns = time_ns;
    stats.cpu_us = cpu_us;
    return stats;
  };
  const std::tuple<std::optional<ContainerStats>, ContainerStats, double> cases[] = {
      {std::nullopt, sample(second, 5'000'000), 0},
      {sample(0, 0), sample(second, 500'000), 50},
      {sample(second, 1'000'000), sample(2 * second, 3'000'000), 200},
      {sample(second, 1), sample(3 * second, 1), 0},
      {sample(second, 9'000'000), sample(2 * second, 10), 0},  // it has begun anew
      {sample(second, 0), sample(second, 10), 0},
  };
  for (const auto& [before, now, percent] : cases) EXPECT_DOUBLE_EQ(cpu_percent(before, now), percent);
}

TEST(StatsRow, HasDockersFieldsAndFormats) {
  ContainerStats now;
  now.id = "0123456789abcdef";
  now.name = "web";
  now.memory_bytes = 48 << 20;
  now.memory_inactive_file_bytes = 16 << 20;
  now.memory_limit_bytes = 512 << 20;
  now.networks = {{.name = "eth0", .rx_bytes = 1200, .tx_bytes = 3}, {.name = "eth1", .rx_bytes = 300}};
  now.block = {{.device = "254:0", .read_bytes = 4'500'000, .write_bytes = 0}};
  now.pids = 7;
  now.host_pss_bytes = 100 << 20;
  now.host_rss_bytes = 128 << 20;
  Json row = stats_row(std::nullopt, now, false);
  const std::pair<const char*, const char*> cases[] = {
      {"ID", "0123456789ab"}, {"Container", "0123456789ab"},  {"Name", "web"},         {"CPUPerc", "0.00%"},
      {"MemPerc", "6.25%"},   {"MemUsage", "32MiB / 512MiB"}, {"NetIO", "1.5kB / 3B"}, {"BlockIO", "4.5MB / 0B"},
      {"PIDs", "7"},          {"Host", "100MiB / 128MiB"},
  };
  for (const auto& [key, value] : cases) EXPECT_EQ(row[key], value) << key;
  EXPECT_EQ(stats_row(std::nullopt, now, true)["ID"], now.id);
}

TEST(StatsRow, HasEveryFieldAlsoOfOneThatDoesNotRun) {
  Json with = stats_row(std::nullopt, {}, false);
  Json without = stats_row_without("0123456789abcdef", "web", false);
  for (const auto& [key, value] : with.items()) EXPECT_TRUE(without.contains(key)) << key;
  EXPECT_EQ(without["MemUsage"], "-- / --");
}

}  // namespace
}  // namespace diatom::cli
