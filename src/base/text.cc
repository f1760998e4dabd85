#include "base/text.h"

namespace diatom {

namespace {

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

bool is_control(std::string_view character) {
  auto first = static_cast<unsigned char>(character.front());
  if (character.size() == 1) return first < 0x20 || first == 0x7f;
  return character.size() == 2 && first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;
}

std::string clean(std::string_view text, bool lines) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    size_t size = utf8_character_size(text);
    std::string_view character = text.substr(0, size > 0 ? size : 1);
    text.remove_prefix(character.size());
    bool space = character == "\n" || character == "\t" || character == "\r";
    if (space)
      out += lines && character != "\r" ? character : " ";
    else
      out += size == 0 || is_control(character) ? "?" : character;
  }
  return out;
}

}  // namespace

size_t utf8_character_size(std::string_view text) {
  auto lead = static_cast<unsigned char>(text.front());
  if (lead < 0x80) return 1;
  size_t size = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (size > text.size()) return 0;
  for (size_t i = 1; i < size; ++i)
    if (!is_continuation(text[i])) return 0;
  // Longer than need be, half a surrogate pair, or beyond the last character.
  auto second = size > 1 ? static_cast<unsigned char>(text[1]) : 0;
  bool none = (lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
              (lead == 0xf4 && second > 0x8f);
  return none ? 0 : size;
}

std::string printable(std::string_view text, size_t most_bytes) {
  if (text.size() <= most_bytes) return clean(text, false);
  size_t end = most_bytes;
  while (end > 0 && is_continuation(text[end])) --end;
  return clean(text.substr(0, end), false) + "…";
}

std::string printable_lines(std::string_view text) { return clean(text, true); }

}  // namespace diatom
