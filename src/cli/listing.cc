#include "cli/listing.h"

#include <fmt/core.h>

#include <algorithm>

#include "cli/options.h"
#include "cli/table.h"
#include "cli/text.h"

namespace diatom::cli {

namespace {

constexpr std::string_view table_word = "table";

Result<std::string> format_table(std::string_view columns, const Json& headings, const std::vector<Json>& rows) {
  Template line = TRY(Template::parse(columns));
  Table table;
  // The headings go through the template, too. Where it does more than name fields (a range over one), they may not
  // fit.
  auto heading = line.execute(headings);
  if (!heading && rows.empty()) return fail(Errc::invalid_argument, heading.error().message, heading.error().hint);
  if (heading) table.add_line(*heading);
  for (const Json& row : rows) table.add_line(TRY(line.execute(row)));
  return table.text();
}

}  // namespace

bool is_table_format(std::string_view format) {
  return format.empty() || format == table_word || format.starts_with("table ") || format.starts_with("table\\t");
}

Result<std::string> format_listing(std::string_view format, const Listing& listing, const std::vector<Json>& rows) {
  if (is_table_format(format)) {
    std::string_view columns = format.substr(std::min(table_word.size(), format.size()));
    columns.remove_prefix(std::min(columns.find_first_not_of(' '), columns.size()));
    return format_table(columns.empty() ? listing.table : columns, listing.headings, rows);
  }
  Template line = TRY(Template::parse(format == "json" ? "{{json .}}" : format));
  // Without a row, nobody would be told of a field that does not exist.
  if (rows.empty()) TRY(line.execute(listing.headings));
  std::string text;
  for (const Json& row : rows) text += TRY(line.execute(row)) + "\n";
  return text;
}

bool listing_mentions(std::string_view format, std::string_view field) {
  if (is_table_format(format)) format.remove_prefix(std::min(table_word.size(), format.size()));
  auto parsed = Template::parse(format);
  return parsed && parsed->mentions(field);
}

CLI::Option* add_format_option(CLI::App& verb, std::string& format) {
  return one(verb.add_option("--format", format, "table, json, 'TEMPLATE' or 'table TEMPLATE': {{.ID}}, as docker's"));
}

Result<std::vector<Filter>> parse_filters(const std::vector<std::string>& words,
                                          const std::vector<std::string_view>& known) {
  std::vector<Filter> filters;
  for (const auto& word : words) {
    size_t equals = word.find('=');
    std::string key = word.substr(0, equals);
    bool valid = equals != std::string::npos && std::ranges::find(known, key) != known.end();
    if (!valid) {
      std::string names;
      for (auto name : known) names += (names.empty() ? "" : ", ") + std::string(name);
      return fail(Errc::invalid_argument, fmt::format("parse filter \"{}\": there is no such filter", word),
                  fmt::format("write KEY=VALUE; the keys are {}", names));
    }
    filters.emplace_back(std::move(key), word.substr(equals + 1));
  }
  return filters;
}

Result<bool> parse_filter_bool(const Filter& filter) {
  for (std::string_view yes : {"true", "1", "t", "T", "TRUE", "True"})
    if (filter.second == yes) return true;
  for (std::string_view no : {"false", "0", "f", "F", "FALSE", "False"})
    if (filter.second == no) return false;
  return fail(Errc::invalid_argument, fmt::format("parse filter \"{}={}\"", filter.first, filter.second),
              "write true or false");
}

LabelFilter parse_label_filter(std::string_view text) {
  size_t equals = text.find('=');
  if (equals == std::string_view::npos) return {std::string(text), std::nullopt};
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

}  // namespace diatom::cli
