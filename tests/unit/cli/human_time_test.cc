#include "cli/human_time.h"

#include <gtest/gtest.h>

namespace diatom::cli {
namespace {

constexpr int64_t second = 1'000'000'000;
constexpr int64_t hour = 3600, day = 24 * hour;

TEST(HumanDuration, SpeaksAsGoUnitsDoes) {
  const std::pair<int64_t, std::string_view> cases[] = {
      {-5, "Less than a second"}, {0, "Less than a second"},    {1, "1 second"},         {59, "59 seconds"},
      {60, "About a minute"},     {120, "2 minutes"},           {59 * 60, "59 minutes"}, {hour, "About an hour"},
      {hour + 1800, "2 hours"},   {47 * hour, "47 hours"},      {48 * hour, "2 days"},   {13 * day, "13 days"},
      {14 * day, "2 weeks"},      {59 * day, "8 weeks"},        {60 * day, "2 months"},  {729 * day, "24 months"},
      {730 * day, "2 years"},     {56 * 365 * day, "56 years"},
  };
  for (auto [seconds, words] : cases) EXPECT_EQ(human_duration(seconds), words) << seconds;
  EXPECT_EQ(human_since(0, 2 * day * second), "2 days ago");
}

TEST(HumanSize, CountsInThousandsWithThreeDigits) {
  const std::pair<uint64_t, std::string_view> cases[] = {
      {0, "0B"},
      {999, "999B"},
      {1000, "1kB"},
      {4'270'000, "4.27MB"},
      {4'265'746, "4.27MB"},
      {999'900, "1MB"},
      {77'800'000, "77.8MB"},
      {124'000'000, "124MB"},
      {1'020'000'000, "1.02GB"},
      {UINT64_MAX, "18.4EB"},
  };
  for (auto [bytes, words] : cases) EXPECT_EQ(human_size(bytes), words) << bytes;
  EXPECT_EQ(human_size(12'345'678, 4), "12.35MB");
}

}  // namespace
}  // namespace diatom::cli
