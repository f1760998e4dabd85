// Times as people and documents write them. (In docker's words, "2 days ago": cli/human_time.h.)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace diatom {

// "2026-11-24T12:00:00.123456789Z": always nine digits, so that times sort as text.
std::string format_rfc3339(int64_t time_ns);

// Nanoseconds since 1970 UTC of an RFC 3339 time; nothing when the text is none or lies outside 1678 to 2261.
std::optional<int64_t> parse_rfc3339(std::string_view text);

// Nanoseconds of a Go duration: "24h", "1h30m", "1.5s", "300ms"; nothing when the text is none.
std::optional<int64_t> parse_duration(std::string_view text);

// What `--since`, `--until` and `--filter until=` take: a time (RFC 3339, a date, seconds since 1970 with or without a
// fraction) or a Go duration before now ("24h", "1h30m").
Result<int64_t> parse_point_in_time(std::string_view text, int64_t now_ns);

}  // namespace diatom
