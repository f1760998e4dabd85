#include "base/json_depth.h"

#include <gtest/gtest.h>

#include <string>

namespace diatom {
namespace {

std::string nested(size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); }

TEST(JsonDepth, IsThatOfArraysAndObjects) {
  for (std::string_view text : {"", "1", R"({"a":[1,{"b":2}],"c":[]})", R"(["[[[[[[","\"[[[[["])"})
    EXPECT_FALSE(json_nests_deeper(text, 3)) << text;
  for (std::string_view text : {R"({"a":[1,{"b":[]}]})", "[[[[", R"({"\"":[[[)"})
    EXPECT_TRUE(json_nests_deeper(text, 3)) << text;
}

TEST(JsonDepth, CountsFromEachClosingAgain) {
  std::string siblings = "[";
  for (int i = 0; i < 1000; ++i) siblings += "[],";
  EXPECT_FALSE(json_nests_deeper(siblings + "[]]"));
  EXPECT_FALSE(json_nests_deeper(nested(deepest_json)));
  EXPECT_TRUE(json_nests_deeper(nested(deepest_json + 1)));
  EXPECT_TRUE(json_nests_deeper(nested(1'000'000)));
}

}  // namespace
}  // namespace diatom
