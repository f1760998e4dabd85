// Times and sizes in docker's words (github.com/docker/go-units).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace diatom::cli {

std::string human_duration(int64_t seconds);               // "2 days", "About an hour"
std::string human_since(int64_t then_ns, int64_t now_ns);  // "2 days ago"
std::string human_size(uint64_t bytes, int digits = 3);    // "4.27MB": powers of 1000
std::string time_in_zone(int64_t nanoseconds);             // "2024-01-18 01:59:10 +0000 UTC", as CreatedAt has it

// Nanoseconds since 1970 UTC of an RFC 3339 time; nothing when the text is none or lies outside 1678 to 2261.
std::optional<int64_t> parse_rfc3339(std::string_view text);

// What `--filter until=` takes: a time (RFC 3339, a date, seconds since 1970) or a Go duration before now ("24h",
// "1h30m").
Result<int64_t> parse_until(std::string_view text, int64_t now_ns);

}  // namespace diatom::cli
