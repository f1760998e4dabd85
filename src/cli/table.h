#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace diatom::cli {

// Columns as docker's (Go's tabwriter) prints them: each as wide as its widest cell and three spaces, the last one
// not padded. Cells are made printable().
class Table {
 public:
  void add_row(std::vector<std::string> cells);
  // A line whose cells are separated by tabs.
  void add_line(std::string_view line);
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace diatom::cli
