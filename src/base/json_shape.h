#pragma once

#include <cstddef>
#include <string_view>

namespace diatom {

// No honest document nests deeper. Copying and printing a JSON value recurse as deep as its sender has nested.
inline constexpr size_t deepest_json = 64;
// No honest document has more values. Parsed, each takes up to 130 bytes, and may have taken three of the text.
inline constexpr size_t most_json_values = 200'000;

// Of text that is no JSON it says something, too; a parser does not go deeper than that, or make more.
struct JsonShape {
  size_t depth = 0;   // of arrays and objects
  size_t values = 0;  // and names of members, or a few more
};
JsonShape json_shape(std::string_view text);

// Whether a text should not be parsed at all.
inline bool json_is_excessive(std::string_view text) {
  JsonShape shape = json_shape(text);
  return shape.depth > deepest_json || shape.values > most_json_values;
}

}  // namespace diatom
