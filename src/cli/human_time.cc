#include "cli/human_time.h"

#include <fmt/core.h>

#include <ctime>

namespace diatom::cli {

namespace {

constexpr int64_t ns_per_second = 1'000'000'000;

}  // namespace

std::string human_duration(int64_t seconds) {
  if (seconds < 1) return "Less than a second";
  if (seconds == 1) return "1 second";
  if (seconds < 60) return fmt::format("{} seconds", seconds);
  int64_t minutes = seconds / 60;
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return fmt::format("{} minutes", minutes);
  int64_t hours = (seconds + 1800) / 3600;
  if (hours == 1) return "About an hour";
  if (hours < 48) return fmt::format("{} hours", hours);
  if (hours < 24 * 7 * 2) return fmt::format("{} days", hours / 24);
  if (hours < 24 * 30 * 2) return fmt::format("{} weeks", hours / 24 / 7);
  if (hours < 24 * 365 * 2) return fmt::format("{} months", hours / 24 / 30);
  return fmt::format("{} years", seconds / 3600 / 24 / 365);
}

std::string human_since(int64_t then_ns, int64_t now_ns) {
  return human_duration((now_ns - then_ns) / ns_per_second) + " ago";
}

std::string human_size(uint64_t bytes, int digits) {
  static constexpr const char* units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  // What would be rounded up to a thousand is the next unit's 1 (go-units prints 1e+03kB).
  double limit = digits >= 4 ? 999.95 : 999.5;
  while (value >= limit && unit + 1 < std::size(units)) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}g}{}", value, digits, units[unit]);
}

std::string human_binary_size(uint64_t bytes) {
  static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.4g}{}", value, units[unit]);
}

std::string time_in_zone(int64_t nanoseconds) {
  time_t seconds = nanoseconds / ns_per_second;
  tm parts{};
  ::localtime_r(&seconds, &parts);
  char text[64];
  size_t length = std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %z %Z", &parts);
  return std::string(text, length);
}

}  // namespace diatom::cli
