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

TEST(ParseRfc3339, ReadsZonesAndFractionsAndNothingElse) {
  const std::pair<std::string_view, int64_t> cases[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"1970-01-01T01:00:00+01:00", 0},
      {"1970-01-01T00:00:01.5Z", second + second / 2},
      {"1970-01-01T00:00:00.0000000019Z", 1},
      {"2024-01-18T01:59:10.123456789Z", 1705543150123456789},
      {"1969-12-31T23:59:59Z", -second},
  };
  for (auto [text, time] : cases) EXPECT_EQ(parse_rfc3339(text), time) << text;
  for (std::string_view text : {"", "2024", "2024-01-18", "2024-02-30T00:00:00Z", "2024-01-18T01:59:10",
                                "2024-01-18T01:59:10.Z", "2024-01-18T25:00:00Z", "0001-01-01T00:00:00Z",
                                "2024-01-18T01:59:10Zx", "2024-01-18T01:59:10+1:00", "9999-01-01T00:00:00Z"})
    EXPECT_EQ(parse_rfc3339(text), std::nullopt) << text;
}

TEST(ParseUntil, TakesTimesAndDurationsBeforeNow) {
  constexpr int64_t now = 1000 * day * second;
  const std::pair<std::string_view, int64_t> cases[] = {
      {"24h", 999 * day * second},
      {"1h30m", now - 90 * 60 * second},
      {"1.5s", now - second - second / 2},
      {"100", 100 * second},
      {"1970-01-02", day * second},
      {"1970-01-02T00:00:00", day * second},
      {"1970-01-02T00:00:00Z", day * second},
  };
  for (auto [text, time] : cases) EXPECT_EQ(parse_until(text, now).value(), time) << text;
  for (std::string_view text : {"", "yesterday", "-1h", "1h2", "h", "1.2.3h"}) {
    auto result = parse_until(text, now);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, Errc::invalid_argument);
  }
}

}  // namespace
}  // namespace diatom::cli
