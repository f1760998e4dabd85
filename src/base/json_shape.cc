#include "base/json_shape.h"

#include <algorithm>

namespace diatom {

JsonShape json_shape(std::string_view text) {
  JsonShape shape;
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    bool opens = c == '[' || c == '{';
    // What may come after each of these is one value, or one name.
    if (opens || c == ',' || c == ':') ++shape.values;
    if (opens) shape.depth = std::max(shape.depth, ++depth);
    if (c == '"') in_string = true;
    if ((c == ']' || c == '}') && depth > 0) --depth;
  }
  return shape;
}

}  // namespace diatom
