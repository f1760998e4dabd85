#include "runtime/json/object_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diatom {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Values {
  std::string text = "as it was";
  unsigned number = 7;
  bool flag = false;
  std::vector<std::string> list;
  std::map<std::string, std::string> map;
  std::optional<std::string> maybe;
  uint16_t inner = 0;
};

Result<Values> read(std::string_view json) {
  Values values;
  TRY(read_json_object("thing", json, [&](ObjectReader& field) {
    field("text", values.text);
    field("number", values.number);
    field("flag", values.flag);
    field("list", values.list);
    field("map", values.map);
    field("maybe", values.maybe);
    field.object("object", [&](ObjectReader& inner) { inner("inner", values.inner); });
  }));
  return values;
}

std::string refusal(std::string_view json) {
  auto values = read(json);
  if (values) return "it was taken";
  EXPECT_EQ(values.error().code, Errc::invalid_argument);
  return values.error().message;
}

TEST(ObjectReader, ReadsWhatIsThereAndLeavesTheRest) {
  Values values =
      *read(R"({"number": 3, "flag": true, "list": ["a"], "map": {"k": "v"}, "maybe": "", "object": {"inner": 9}})");
  EXPECT_EQ(values.text, "as it was");
  EXPECT_EQ(values.number, 3u);
  EXPECT_TRUE(values.flag);
  EXPECT_THAT(values.list, testing::ElementsAre("a"));
  EXPECT_THAT(values.map, testing::ElementsAre(testing::Pair("k", "v")));
  EXPECT_EQ(values.maybe, "");
  EXPECT_EQ(values.inner, 9);
}

TEST(ObjectReader, TakesNullForWhatIsNotGiven) {
  Values values = *read(R"({"text": null, "number": null, "list": null, "maybe": null, "object": null})");
  EXPECT_EQ(values.text, "as it was");
  EXPECT_EQ(values.maybe, std::nullopt);
}

TEST(ObjectReader, NamesTheFieldThatIsWrong) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"({"text": 1})", "text: it is no text"},
      {R"({"number": -1})", "number: it is no whole number"},
      {R"({"number": 1.5})", "number: it is no whole number"},
      {R"({"number": 4294967296})", "number: it is no whole number from 0 to 4294967295"},
      {R"({"flag": "yes"})", "flag: it is neither"},
      {R"({"list": "a"})", "list: it is no list"},
      {R"({"list": [1]})", "list: it is no text"},
      {R"({"map": []})", "map: it is no object"},
      {R"({"object": []})", "object: it is no object"},
      {R"({"object": {"inner": 65536}})", "object.inner: it is no whole number from 0 to 65535"},
      {R"({"text": "a\u0000b"})", "text: its text has a NUL"},
      {R"({"map": {"a\u0000": ""}})", "NUL"},
  };
  for (auto [json, words] : cases) EXPECT_THAT(refusal(json), AllOf(HasSubstr("thing"), HasSubstr(words))) << json;
}

TEST(ObjectReader, RefusesAFieldThatNobodyAskedForByItsName) {
  EXPECT_THAT(refusal(R"({"colour": 1})"), HasSubstr("there is no field \"colour\""));
  EXPECT_THAT(refusal(R"({"object": {"outer": 1}})"), HasSubstr("there is no field \"object.outer\""));
  EXPECT_THAT(read(R"({"colour": null})").error().hint, HasSubstr("text, number, flag"));
}

TEST(ObjectReader, RefusesWhatIsNoDocument) {
  EXPECT_THAT(refusal(""), HasSubstr("line 1"));
  EXPECT_THAT(refusal("{\"text\": \"a\","), HasSubstr("line 1, column 14"));
  EXPECT_THAT(refusal("[]"), HasSubstr("no JSON object"));
  EXPECT_THAT(refusal("{} {}"), HasSubstr("line 1"));
  EXPECT_THAT(refusal("{\"text\": \"\xff\"}"), HasSubstr("line 1"));
  EXPECT_THAT(refusal(R"({"text": "a", "text": "b"})"), HasSubstr("\"text\" is there twice"));
  EXPECT_THAT(refusal(R"({"object": {"inner": 1, "inner": 2}})"), HasSubstr("\"inner\" is there twice"));
  EXPECT_THAT(refusal(std::string(1000, '[')), HasSubstr("too deep"));
  EXPECT_THAT(refusal(std::string((16 << 20) + 1, ' ')), HasSubstr("too large"));
}

}  // namespace
}  // namespace diatom
