#include "cli/text.h"

#include <algorithm>
#include <cstdint>

namespace diatom::cli {

namespace {

struct Range {
  uint32_t first;
  uint32_t last;
};

// The blocks that matter, not the whole of Unicode's tables: a column that is off by one does no harm.
constexpr Range zero_width[] = {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},    {0x610, 0x61a},
                                {0x64b, 0x65f},   {0xe31, 0xe31},   {0xe34, 0xe3a},    {0x1ab0, 0x1aff},
                                {0x1dc0, 0x1dff}, {0x200b, 0x200f}, {0x20d0, 0x20ff},  {0xfe00, 0xfe0f},
                                {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0xe0100, 0xe01ef}};
constexpr Range double_width[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x33ff},  {0x3400, 0x4dbf},
                                  {0x4e00, 0x9fff},   {0xa000, 0xa4cf},   {0xac00, 0xd7a3},  {0xf900, 0xfaff},
                                  {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},  {0x1f300, 0x1f64f},
                                  {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};

template <size_t n>
bool in(const Range (&ranges)[n], uint32_t point) {
  return std::ranges::any_of(ranges, [&](Range range) { return point >= range.first && point <= range.last; });
}

struct Character {
  size_t bytes;
  size_t columns;
};

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

Character first_character(std::string_view text) {
  auto lead = static_cast<unsigned char>(text.front());
  size_t bytes = lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 1;
  if (bytes == 1 || bytes > text.size() || !std::all_of(text.begin() + 1, text.begin() + bytes, is_continuation))
    return {1, 1};
  uint32_t point = lead & (0xffu >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) point = point << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
  return {bytes, in(zero_width, point) ? 0u : in(double_width, point) ? 2u : 1u};
}

}  // namespace

size_t display_width(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    Character next = first_character(text);
    width += next.columns;
    text.remove_prefix(next.bytes);
  }
  return width;
}

std::string ellipsis(std::string_view text, size_t columns) {
  if (columns == 0) return "";
  if (display_width(text) <= columns) return std::string(text);
  size_t width = 0;
  size_t end = 0;
  while (end < text.size()) {
    Character next = first_character(text.substr(end));
    if (width + next.columns > columns - 1) break;
    width += next.columns;
    end += next.bytes;
  }
  return std::string(text.substr(0, end)) + "…";
}

}  // namespace diatom::cli
