#include "base/json_shape.h"

#include <gtest/gtest.h>

#include <string>

namespace diatom {
namespace {

std::string nested(size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); }

TEST(JsonShape, SaysHowDeepArraysAndObjectsNest) {
  for (std::string_view text : {"", "1", R"({"a":[1,{"b":2}],"c":[]})", R"(["[[[[[[","\"[[[[["])"})
    EXPECT_LE(json_shape(text).depth, 3U) << text;
  for (std::string_view text : {R"({"a":[1,{"b":[]}]})", "[[[[", R"({"\"":[[[)"})
    EXPECT_EQ(json_shape(text).depth, 4U) << text;
  EXPECT_EQ(json_shape(nested(1'000'000)).depth, 1'000'000U);
}

TEST(JsonShape, CountsLevelsFromEachClosingAgain) {
  std::string siblings = "[";
  for (int i = 0; i < 1000; ++i) siblings += "[],";
  EXPECT_EQ(json_shape(siblings + "[]]").depth, 2U);
  EXPECT_FALSE(json_is_excessive(siblings + "[]]"));
  EXPECT_FALSE(json_is_excessive(nested(deepest_json)));
  EXPECT_TRUE(json_is_excessive(nested(deepest_json + 1)));
}

TEST(JsonShape, CountsNoFewerValuesThanAParserMakes) {
  const std::pair<std::string_view, size_t> cases[] = {
      {"", 0}, {"[1,2,3]", 3}, {"[[],{},\"a,b\"]", 3}, {R"({"a":1,"b":[2]})", 5}, {R"({"a:,[{":"\",,"})", 2}};
  for (auto [text, least] : cases) {
    EXPECT_GE(json_shape(text).values, least) << text;
    EXPECT_LE(json_shape(text).values, least + 4) << text;
  }
  std::string many = "[";
  for (size_t i = 0; i < most_json_values; ++i) many += "0,";
  EXPECT_TRUE(json_is_excessive(many + "0]"));
}

}  // namespace
}  // namespace diatom
