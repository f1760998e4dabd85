// What an answer means to a download that is to go on at some offset.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace diatom::image {

struct ContentRange {  // "bytes 5-9/10", "bytes 5-9/*"
  uint64_t first = 0;
  uint64_t last = 0;
  std::optional<uint64_t> total;
};
std::optional<ContentRange> parse_content_range(std::string_view text);
std::optional<uint64_t> parse_content_length(std::string_view text);

struct Resumption {
  bool usable = false;      // false: the answer is of no use, `why` says why
  uint64_t skip_bytes = 0;  // of the body, which we have already
  std::string why;
};
// `offset` of `size` bytes are here. The answer has the status 200, 206 or 416.
Resumption judge_range_answer(uint64_t offset, uint64_t size, long status,
                              std::optional<std::string_view> content_range,
                              std::optional<std::string_view> content_length);

}  // namespace diatom::image
