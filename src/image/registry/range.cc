#include "image/registry/range.h"

#include <fmt/format.h>

#include <charconv>

namespace diatom::image {

namespace {

std::optional<uint64_t> take_number(std::string_view& text) {
  uint64_t number = 0;
  auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(rest - text.data()));
  return number;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

Resumption of_no_use(std::string why) { return {false, 0, std::move(why)}; }

}  // namespace

std::optional<uint64_t> parse_content_length(std::string_view text) {
  auto number = take_number(text);
  return text.empty() ? number : std::nullopt;
}

std::optional<ContentRange> parse_content_range(std::string_view text) {
  if (!take(text, "bytes ")) return std::nullopt;
  auto first = take_number(text);
  if (!first || !take(text, "-")) return std::nullopt;
  auto last = take_number(text);
  if (!last || *last < *first || !take(text, "/")) return std::nullopt;
  if (text == "*") return ContentRange{*first, *last, std::nullopt};
  auto total = take_number(text);
  if (!total || !text.empty() || *total <= *last) return std::nullopt;
  return ContentRange{*first, *last, total};
}

Resumption judge_range_answer(uint64_t offset, uint64_t size, long status,
                              std::optional<std::string_view> content_range,
                              std::optional<std::string_view> content_length) {
  if (status == 416) return of_no_use(fmt::format("the registry has nothing at byte {} of {}", offset, size));
  if (status == 206) {
    auto range = content_range ? parse_content_range(*content_range) : std::nullopt;
    if (!range) return of_no_use("the registry sends a part and does not say which");
    if (range->total && *range->total != size)
      return of_no_use(fmt::format("the registry has {} bytes instead of {}", *range->total, size));
    if (range->first > offset || range->last >= size)
      return of_no_use(
          fmt::format("the registry sends bytes {} to {} instead of those from {}", range->first, range->last, offset));
    return {true, offset - range->first, ""};
  }
  auto length = content_length ? parse_content_length(*content_length) : std::nullopt;
  if (length && *length != size)
    return of_no_use(fmt::format("the registry has {} bytes instead of {}", *length, size));
  return {true, offset, ""};
}

}  // namespace diatom::image
