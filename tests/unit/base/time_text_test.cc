#include "base/time_text.h"

#include <gtest/gtest.h>

namespace diatom {
namespace {

constexpr int64_t second = 1'000'000'000;
constexpr int64_t day = 24 * 3600;

TEST(FormatRfc3339, PrintsNineDigitsAlsoBefore1970) {
  const std::pair<int64_t, std::string_view> cases[] = {
      {0, "1970-01-01T00:00:00.000000000Z"},
      {1705543150123456789, "2024-01-18T01:59:10.123456789Z"},
      {-1, "1969-12-31T23:59:59.999999999Z"},
      {-second, "1969-12-31T23:59:59.000000000Z"},
  };
  for (auto [time, text] : cases) {
    EXPECT_EQ(format_rfc3339(time), text) << time;
    EXPECT_EQ(parse_rfc3339(text), time) << text;
  }
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
  for (std::string_view text :
       {"", "2024", "2024-01-18", "2024-02-30T00:00:00Z", "2024-01-18T01:59:10", "2024-01-18T01:59:10.Z",
        "2024-01-18T25:00:00Z", "0001-01-01T00:00:00Z", "2024-01-18T01:59:10Zx", "2024-01-18T01:59:10+1:00",
        "2261-12-31T23:59:59-00:01", "1678-01-01T00:00:00+00:01", "9999-01-01T00:00:00Z"})
    EXPECT_EQ(parse_rfc3339(text), std::nullopt) << text;
}

TEST(ParsePointInTime, TakesTimesAndDurationsBeforeNow) {
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
  for (auto [text, time] : cases) EXPECT_EQ(parse_point_in_time(text, now).value(), time) << text;
  for (std::string_view text : {"", "yesterday", "-1h", "1h2", "h", "1.2.3h"}) {
    auto result = parse_point_in_time(text, now);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, Errc::invalid_argument);
  }
}

}  // namespace
}  // namespace diatom
