#include "tar/header.h"

#include <algorithm>
#include <cstring>

namespace diatom::tar {

namespace {

struct Sums {
  int64_t plain;
  int64_t with_sign;  // as old tars summed: some took the bytes for signed
};

// Its own field counts as blanks. All the block first, without a choice, which the compiler makes a few wide
// instructions of: a layer has a header for each of its files.
Sums sums_of(const Block& block) {
  uint32_t plain = 0;
  uint32_t high = 0;
  for (char c : block) {
    plain += static_cast<unsigned char>(c);
    high += static_cast<unsigned char>(c) >> 7;
  }
  for (char c : std::span(block).subspan(checksum_field.offset, checksum_field.size)) {
    plain += ' ' - static_cast<unsigned char>(c);
    high -= static_cast<unsigned char>(c) >> 7;
  }
  return {plain, int64_t{plain} - int64_t{256} * high};
}

std::optional<int64_t> base_256(std::span<const char> bytes) {
  bool negative = (static_cast<unsigned char>(bytes[0]) & 0x40) != 0;
  uint64_t value = negative ? UINT64_MAX : 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    auto byte = static_cast<unsigned char>(bytes[i]);
    if (i == 0) byte = static_cast<unsigned char>(negative ? byte | 0x80 : byte & 0x7f);
    // What is shifted out must be no more than the sign.
    if (value >> 55 != (negative ? 0x1ff : 0)) return std::nullopt;
    value = value << 8 | byte;
  }
  return static_cast<int64_t>(value);
}

}  // namespace

std::string_view text_of(std::span<const char> block, Field field) {
  std::string_view text(block.data() + field.offset, field.size);
  return text.substr(0, text.find('\0'));
}

std::optional<int64_t> number_of(std::span<const char> block, Field field) {
  std::span<const char> bytes = block.subspan(field.offset, field.size);
  if ((static_cast<unsigned char>(bytes[0]) & 0x80) != 0) return base_256(bytes);
  size_t begin = 0;
  while (begin < bytes.size() && bytes[begin] == ' ') ++begin;
  int64_t value = 0;
  for (; begin < bytes.size() && bytes[begin] >= '0' && bytes[begin] <= '7'; ++begin)
    value = value * 8 + (bytes[begin] - '0');  // 12 digits at most
  for (; begin < bytes.size(); ++begin)
    if (bytes[begin] != ' ' && bytes[begin] != '\0') return std::nullopt;
  return value;
}

bool checksum_is_right(const Block& block) {
  auto [plain, with_sign] = sums_of(block);
  auto said = number_of(block, checksum_field);
  return said && (*said == plain || *said == with_sign);
}

void put_text(Block& block, Field field, std::string_view text) {
  std::memcpy(block.data() + field.offset, text.data(), std::min(text.size(), field.size));
}

void put_octal(Block& block, Field field, uint64_t value) {
  for (size_t i = field.size - 1; i-- > 0; value /= 8) block[field.offset + i] = static_cast<char>('0' + value % 8);
}

void put_checksum(Block& block) {
  auto sum = static_cast<uint64_t>(sums_of(block).plain);
  put_octal(block, {checksum_field.offset, checksum_field.size - 1}, sum);
  block[checksum_field.offset + checksum_field.size - 1] = ' ';
}

}  // namespace diatom::tar
