// Text of images, registries and guests is foreign: its control characters would reach a terminal as commands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace diatom {

// Bytes of the UTF-8 character that a text which is not empty begins with; 0 when it begins with none.
size_t utf8_character_size(std::string_view text);

// One harmless line of at most `most_bytes`: line ends and tabs become spaces, other control characters (also those of
// two bytes, U+0080 to U+009F) and bytes that are no UTF-8 become "?"; what is cut off is marked by "…".
inline constexpr size_t uncut = SIZE_MAX;
std::string printable(std::string_view text, size_t most_bytes = 200);

// The same for a message of several lines: line ends and tabs stay, nothing is cut off.
std::string printable_lines(std::string_view text);

}  // namespace diatom
