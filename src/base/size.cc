#include "base/size.h"

#include <fmt/core.h>

#include <charconv>
#include <utility>

namespace diatom {

Result<uint64_t> parse_size(std::string_view what, std::string_view text) {
  static constexpr std::pair<std::string_view, uint64_t> units[] = {
      {"", 1},         {"b", 1},        {"B", 1},          {"k", 1 << 10},    {"K", 1 << 10},
      {"Ki", 1 << 10}, {"m", 1 << 20},  {"M", 1 << 20},    {"Mi", 1 << 20},   {"g", 1 << 30},
      {"G", 1 << 30},  {"Gi", 1 << 30}, {"t", 1ULL << 40}, {"T", 1ULL << 40}, {"Ti", 1ULL << 40},
  };
  uint64_t number = 0;
  const char* last = text.data() + text.size();
  auto [rest, ec] = std::from_chars(text.data(), last, number);
  if (ec == std::errc{}) {
    std::string_view suffix(rest, static_cast<size_t>(last - rest));
    for (auto [unit, factor] : units)
      if (unit == suffix && number <= UINT64_MAX / factor) return number * factor;
  }
  return fail(Errc::invalid_argument, fmt::format("parse {} \"{}\": not a size", what, text),
              "write 512Mi, 2g or plain bytes");
}

std::string format_size(uint64_t bytes) {
  static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0 || value == static_cast<double>(static_cast<uint64_t>(value)))
    return fmt::format("{} {}", static_cast<uint64_t>(value), units[unit]);
  return fmt::format("{:.1f} {}", value, units[unit]);
}

}  // namespace diatom
