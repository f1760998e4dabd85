#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace diatom {

// "512Mi", "2Gi", "64Ki", "512m", "1g", "10k", "7b" or plain bytes (docker's letters are powers of 1024, either
// case). Anything else is invalid_argument and names the text; `what` is the thing being set ("memory").
Result<uint64_t> parse_size(std::string_view what, std::string_view text);

// "512 MiB", "1.5 GiB": for people.
std::string format_size(uint64_t bytes);

}  // namespace diatom
