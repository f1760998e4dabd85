#include "cli/listing.h"

#include <gtest/gtest.h>

namespace diatom::cli {
namespace {

const Listing listing{R"({{.ID}}\t{{.Name}})", {{"ID", "THE ID"}, {"Name", "NAME"}}};
const std::vector<Json> rows = {{{"ID", "1"}, {"Name", "first"}}, {{"ID", "22222222"}, {"Name", "second"}}};

TEST(FormatListing, IsATableJsonLinesOrATemplate) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", "THE ID     NAME\n1          first\n22222222   second\n"},
      {"table", "THE ID     NAME\n1          first\n22222222   second\n"},
      {R"(table {{.Name}}\t{{.ID}})", "NAME     THE ID\nfirst    1\nsecond   22222222\n"},
      {"json", "{\"ID\":\"1\",\"Name\":\"first\"}\n{\"ID\":\"22222222\",\"Name\":\"second\"}\n"},
      {"{{.Name}}={{.ID}}", "first=1\nsecond=22222222\n"},
      {R"({{.ID}}\t{{.Name}})", "1\tfirst\n22222222\tsecond\n"},
  };
  for (auto [format, text] : cases) EXPECT_EQ(format_listing(format, listing, rows).value(), text) << format;
}

TEST(FormatListing, AnUnknownFieldIsAnErrorEvenWithoutRows) {
  for (std::string_view format : {"{{.Nope}}", "table {{.ID}}\\t{{.Nope}}"})
    for (const auto& some : {rows, std::vector<Json>{}}) {
      auto result = format_listing(format, listing, some);
      ASSERT_FALSE(result) << format;
      EXPECT_EQ(result.error().hint, "there are: ID, Name");
    }
}

TEST(FormatListing, WithoutRowsATableHasItsHeadings) {
  EXPECT_EQ(format_listing("", listing, {}).value(), "THE ID   NAME\n");
  EXPECT_EQ(format_listing("json", listing, {}).value(), "");
}

TEST(ParseFilters, KnowsItsKeysAndNamesThem) {
  auto filters = parse_filters({"label=a=b", "label!=c", "until="}, {"label", "label!", "until"});
  ASSERT_TRUE(filters);
  EXPECT_EQ(*filters, (std::vector<Filter>{{"label", "a=b"}, {"label!", "c"}, {"until", ""}}));
  for (const char* wrong : {"nope=1", "label", "", "=x"}) {
    auto result = parse_filters({wrong}, {"label", "until"});
    ASSERT_FALSE(result) << wrong;
    EXPECT_EQ(result.error().hint, "write KEY=VALUE; the keys are label, until");
  }
}

TEST(ParseFilters, LabelsHaveAValueOrNone) {
  EXPECT_EQ(parse_label_filter("a"), LabelFilter("a", std::nullopt));
  EXPECT_EQ(parse_label_filter("a="), LabelFilter("a", ""));
  EXPECT_EQ(parse_label_filter("a=b=c"), LabelFilter("a", "b=c"));
  EXPECT_TRUE(*parse_filter_bool({"dangling", "true"}));
  EXPECT_FALSE(*parse_filter_bool({"dangling", "0"}));
  EXPECT_FALSE(parse_filter_bool({"dangling", "maybe"}));
}

}  // namespace
}  // namespace diatom::cli
