#include "base/time_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>

namespace diatom {

namespace {

constexpr int64_t ns_per_second = 1'000'000'000;

// Reads fixed fields off the front of a text.
class Fields {
 public:
  explicit Fields(std::string_view text) : rest_(text) {}
  bool done() const { return rest_.empty(); }
  bool literal(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool either(char a, char b) { return literal(a) || literal(b); }
  // Exactly `digits` of them, from `low` to `high`.
  bool number(size_t digits, int low, int high, int& out) {
    if (rest_.size() < digits || !digits_only(rest_.substr(0, digits))) return false;
    std::from_chars(rest_.data(), rest_.data() + digits, out);
    rest_.remove_prefix(digits);
    return out >= low && out <= high;
  }
  // ".123", of which nine digits count.
  bool fraction(int64_t& nanoseconds) {
    if (!literal('.')) return true;
    size_t length = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    if (length == 0) return false;
    int64_t unit = ns_per_second / 10;
    for (char digit : rest_.substr(0, length)) {
      nanoseconds += unit * (digit - '0');
      unit /= 10;
    }
    rest_.remove_prefix(length);
    return true;
  }

 private:
  static bool digits_only(std::string_view text) {
    return text.find_first_not_of("0123456789") == std::string_view::npos;
  }
  std::string_view rest_;
};

std::optional<int64_t> days_since_1970(int year, int month, int day) {
  using namespace std::chrono;
  year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                      std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return {};
  return sys_days(date).time_since_epoch().count();
}

std::optional<int64_t> parse_time(std::string_view text, bool date_suffices) {
  Fields fields(text);
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, zone_hour = 0, zone_minute = 0;
  int64_t nanoseconds = 0;
  // Nanoseconds since 1970 fit 64 bits from 1677 to 2262.
  if (!fields.number(4, 1678, 2261, year) || !fields.literal('-') || !fields.number(2, 1, 12, month) ||
      !fields.literal('-') || !fields.number(2, 1, 31, day))
    return {};
  auto days = days_since_1970(year, month, day);
  if (!days) return {};
  bool date_only = fields.done();
  if (date_only && !date_suffices) return {};
  int zone_sign = 0;
  if (!date_only) {
    if (!fields.either('T', 't') || !fields.number(2, 0, 23, hour) || !fields.literal(':') ||
        !fields.number(2, 0, 59, minute) || !fields.literal(':') || !fields.number(2, 0, 60, second) ||
        !fields.fraction(nanoseconds))
      return {};
    bool utc = fields.either('Z', 'z') || (date_suffices && fields.done());
    if (!utc) {
      zone_sign = fields.literal('+') ? 1 : fields.literal('-') ? -1 : 0;
      if (zone_sign == 0 || !fields.number(2, 0, 23, zone_hour) || !fields.literal(':') ||
          !fields.number(2, 0, 59, zone_minute))
        return {};
    }
    if (!fields.done()) return {};
  }
  int64_t seconds =
      *days * 86400 + hour * 3600 + minute * 60 + second - zone_sign * (zone_hour * 3600 + zone_minute * 60);
  // A zone may lead out of those years again.
  if (seconds < *days_since_1970(1678, 1, 1) * 86400 || seconds >= *days_since_1970(2262, 1, 1) * 86400) return {};
  return seconds * ns_per_second + nanoseconds;
}

}  // namespace

// Go's time.ParseDuration, for what is not negative; nothing when the text is none.
std::optional<int64_t> parse_duration(std::string_view text) {
  static constexpr std::pair<std::string_view, double> units[] = {{"ns", 1},  {"us", 1e3}, {"µs", 1e3},  {"ms", 1e6},
                                                                  {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  if (text == "0") return 0;
  if (text.empty()) return {};
  double total = 0;
  while (!text.empty()) {
    size_t length = std::min(text.find_first_not_of("0123456789."), text.size());
    double value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + length, value, std::chars_format::fixed);
    if (length == 0 || error != std::errc{} || end != text.data() + length) return {};
    text.remove_prefix(length);
    size_t unit_length = std::min(text.find_first_of("0123456789."), text.size());
    double factor = 0;
    for (auto [name, nanoseconds] : units)
      if (name == text.substr(0, unit_length)) factor = nanoseconds;
    if (factor == 0) return {};
    text.remove_prefix(unit_length);
    total += value * factor;
  }
  if (!(total < 9e18)) return {};
  return static_cast<int64_t>(total);
}

std::optional<int64_t> parse_unix_seconds(std::string_view text) {
  size_t point = std::min(text.find('.'), text.size());
  int64_t seconds = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + point, seconds);
  if (point == 0 || error != std::errc{} || end != text.data() + point || seconds < 0 || seconds > 9'000'000'000)
    return {};
  int64_t nanoseconds = 0;
  Fields fields(text.substr(point));
  if (!fields.fraction(nanoseconds) || !fields.done()) return {};
  return seconds * ns_per_second + nanoseconds;
}

std::string format_rfc3339(int64_t time_ns) {
  int64_t fraction = time_ns % ns_per_second;
  if (fraction < 0) fraction += ns_per_second;  // before 1970
  time_t seconds = (time_ns - fraction) / ns_per_second;
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, fraction);
}

std::optional<int64_t> parse_rfc3339(std::string_view text) { return parse_time(text, false); }

Result<int64_t> parse_point_in_time(std::string_view text, int64_t now_ns) {
  if (auto time = parse_time(text, true)) return *time;
  if (auto seconds = parse_unix_seconds(text)) return *seconds;
  if (auto duration = parse_duration(text)) return now_ns - *duration;
  return fail(Errc::invalid_argument, fmt::format("parse time \"{}\": neither a time nor a duration", text),
              "write 24h, 2026-01-31, 2026-01-31T12:00:00Z or seconds since 1970");
}

}  // namespace diatom
