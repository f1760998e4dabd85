#include "cli/table.h"

#include <algorithm>

#include "base/text.h"
#include "cli/text.h"

namespace diatom::cli {

void Table::add_row(std::vector<std::string> cells) {
  for (auto& cell : cells) cell = printable(cell, uncut);
  rows_.push_back(std::move(cells));
}

void Table::add_line(std::string_view line) {
  std::vector<std::string> cells;
  for (size_t begin = 0; begin <= line.size();) {
    size_t end = std::min(line.find('\t', begin), line.size());
    cells.emplace_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  add_row(std::move(cells));
}

std::string Table::text() const {
  std::vector<size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    // The last cell of a row ends it and widens nothing.
    for (size_t i = 0; i + 1 < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  std::string text;
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - display_width(row[i]) + 3, ' ');
    }
    text += '\n';
  }
  return text;
}

}  // namespace diatom::cli
