#pragma once

#include <cstddef>
#include <string_view>

namespace diatom {

// No honest document nests deeper. Copying and printing a JSON value recurse as deep as its sender has nested.
inline constexpr size_t deepest_json = 64;

// Whether arrays and objects in the text nest more than `levels` deep. Of text that is no JSON it says something, too;
// a parser that is called when it said no does not go deeper than that.
bool json_nests_deeper(std::string_view text, size_t levels = deepest_json);

}  // namespace diatom
