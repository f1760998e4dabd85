// How lists are shown: docker's --format and --filter.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/template.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace diatom::cli {

struct Listing {
  std::string_view table;  // the columns when nothing is said: "{{.ID}}\t{{.Names}}"
  Json headings;           // of each field
};

// `format`: empty or "table" for the listing's own columns, "table TEMPLATE", "json" for one object a line, or a
// template that prints each row on a line.
Result<std::string> format_listing(std::string_view format, const Listing& listing, const std::vector<Json>& rows);
bool is_table_format(std::string_view format);
// Whether a field is shown, for those that cost something.
bool listing_mentions(std::string_view format, std::string_view field);

CLI::Option* add_format_option(CLI::App& verb, std::string& format);

using Filter = std::pair<std::string, std::string>;
// "KEY=VALUE" each; a key that is not among `known` is invalid_argument and names those that are.
Result<std::vector<Filter>> parse_filters(const std::vector<std::string>& words,
                                          const std::vector<std::string_view>& known);
Result<bool> parse_filter_bool(const Filter& filter);
// "KEY" or "KEY=VALUE", of a label filter.
using LabelFilter = std::pair<std::string, std::optional<std::string>>;
LabelFilter parse_label_filter(std::string_view text);

}  // namespace diatom::cli
