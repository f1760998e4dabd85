// Text on a terminal: how wide it is, and how much of it is shown. (What of it may be shown: base/text.h.)
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

}  // namespace diatom::cli
