// Times and sizes in docker's words (github.com/docker/go-units). (Reading them: base/time_text.h.)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace diatom::cli {

std::string human_duration(int64_t seconds);               // "2 days", "About an hour"
std::string human_since(int64_t then_ns, int64_t now_ns);  // "2 days ago"
std::string human_size(uint64_t bytes, int digits = 3);    // "4.27MB": powers of 1000
std::string human_binary_size(uint64_t bytes);             // "4.27MiB": powers of 1024
std::string time_in_zone(int64_t nanoseconds);             // "2024-01-18 01:59:10 +0000 UTC", as CreatedAt has it

}  // namespace diatom::cli
