// Text on a terminal: how wide it is, what may be shown of it. Text of images and registries is foreign: its control
// characters would reach the terminal as commands.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace diatom::cli {

// Columns that UTF-8 text takes: 0 for combining marks, 2 for East Asian wide characters and emoji, else 1. Bytes that
// are no UTF-8 count as 1 each.
size_t display_width(std::string_view text);

// The first `columns` columns; where something is cut off, the last of them is "…" (docker's way).
std::string ellipsis(std::string_view text, size_t columns);

// Tabs and line ends become spaces, other control characters "?": one harmless line.
std::string printable(std::string_view text);

}  // namespace diatom::cli
