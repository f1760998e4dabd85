// The 512 bytes of a header as POSIX has them (pax(1), "ustar Interchange Format"), with GNU's numbers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace diatom::tar {

inline constexpr size_t block_size = 512;
using Block = std::array<char, block_size>;

struct Field {
  size_t offset;
  size_t size;
};
inline constexpr Field name_field{0, 100}, mode_field{100, 8}, uid_field{108, 8}, gid_field{116, 8},
    size_field{124, 12}, mtime_field{136, 12}, checksum_field{148, 8}, link_field{157, 100}, magic_field{257, 8},
    major_field{329, 8}, minor_field{337, 8}, prefix_field{345, 155};
inline constexpr size_t type_offset = 156;
inline constexpr std::string_view posix_magic{"ustar\00000", 8};
inline constexpr std::string_view gnu_magic{"ustar  \0", 8};
// GNU's old sparse files: four parts, then blocks of 21 of them.
inline constexpr size_t sparse_offset = 386, sparse_count = 4, sparse_more_offset = 482, sparse_block_count = 21,
                        sparse_block_more_offset = 504, sparse_part_size = 24;
inline constexpr Field sparse_size_field{483, 12};

inline constexpr uint64_t padded(uint64_t size) { return (size + block_size - 1) / block_size * block_size; }

std::string_view text_of(std::span<const char> block, Field field);  // up to its first NUL
// Octal, or GNU's base 256; an empty field is 0. None when it is no number, or does not fit.
std::optional<int64_t> number_of(std::span<const char> block, Field field);
bool checksum_is_right(const Block& block);

// The largest number that fits into a field in octal.
inline constexpr uint64_t largest_octal(Field field) { return (uint64_t{1} << (3 * (field.size - 1))) - 1; }
void put_text(Block& block, Field field, std::string_view text);  // that fits
void put_octal(Block& block, Field field, uint64_t value);        // that fits
void put_checksum(Block& block);

}  // namespace diatom::tar
