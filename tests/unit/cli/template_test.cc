#include "cli/template.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace diatom::cli {
namespace {

const Json& value() {
  static const Json json = {{"ID", "sha256:0123456789"},
                            {"Size", 4270000},
                            {"Ratio", 1.5},
                            {"Dangling", false},
                            {"None", nullptr},
                            {"Empty", Json::array()},
                            {"Tags", {"a:1", "b:2"}},
                            {"Config", {{"User", "me"}, {"Labels", {{"z.k", "v"}, {"a", "b"}}}}}};
  return json;
}

std::string executed(std::string_view text) {
  auto parsed = Template::parse(text);
  if (!parsed) return "parse error: " + parsed.error().message;
  auto result = parsed->execute(value());
  return result ? *result : "error: " + result.error().message;
}

TEST(Template, PrintsAsGoDoes) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", ""},
      {"plain } text {", "plain } text {"},
      {"{{.ID}}", "sha256:0123456789"},
      {"{{ .Config.User }}!", "me!"},
      {R"({{.ID}}\t{{.Size}}\n)", "sha256:0123456789\t4270000\n"},
      {"{{.Dangling}} {{.Ratio}} {{.Tags}} {{.Config.Labels}}", "false 1.5 [a:1 b:2] map[a:b z.k:v]"},
      {"{{json .Tags}}", R"(["a:1","b:2"])"},
      {"{{json .Config}}", R"({"User":"me","Labels":{"z.k":"v","a":"b"}})"},
      {"{{.Tags | json}}", R"(["a:1","b:2"])"},
      {"{{json .None}}", "null"},
      {"{{index .Tags 1}}", "b:2"},
      {R"({{index .Config.Labels "z.k"}})", "v"},
      {R"({{index .Config.Labels "absent"}}.)", "."},
      {R"({{index .Config "Labels" "a"}})", "b"},
      {R"({{(index .Tags 0) | upper}})", "A:1"},
      {R"({{(.Config).User}})", "me"},
      {R"({{join .Tags ", "}})", "a:1, b:2"},
      {R"({{join (split "a/b" "/") "+"}})", "a+b"},
      {R"({{upper "aé"}}{{lower "A"}}{{title "some words"}})",
       "Aéa"
       "Some Words"},
      {"{{len .Tags}}{{len .ID}}{{len .None}}", "2170"},
      {"{{println .ID .Size}}", "sha256:0123456789 4270000\n"},
      {R"({{print 1 2 "a" 3}})", "1 2a3"},
      {R"({{printf "%s|%5d|%-5s|%v|%q|%05d|%%|%.2f|%x" .ID 42 "x" .Tags "\"" -7 .Ratio "hi"}})",
       "sha256:0123456789|   42|x    |[a:1 b:2]|\"\\\"\"|-0007|%|1.50|6869"},
      {R"({{.Size | printf "%d bytes"}})", "4270000 bytes"},
      {R"({{truncate .ID 6}}{{pad "x" 1 2}}|)", "sha256 x  |"},
      {"{{range .Tags}}<{{.}}>{{end}}", "<a:1><b:2>"},
      {"{{range $i, $t := .Tags}}{{$i}}={{$t}} {{end}}", "0=a:1 1=b:2 "},
      {"{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "z.k=v;a=b;"},
      {"{{range .Empty}}x{{else}}nothing{{end}}{{range .None}}x{{end}}", "nothing"},
      {"{{range .Tags}}{{$.Size}}{{end}}", "42700004270000"},
      {"{{if .Dangling}}a{{else if .Tags}}b{{else}}c{{end}}", "b"},
      {"{{if .None}}a{{end}}{{if .Empty}}b{{end}}{{if 0}}c{{end}}{{if \"\"}}d{{end}}{{if .Ratio}}e{{end}}", "e"},
      {"{{with .Config}}{{.User}}{{end}}{{with .None}}x{{else}}{{.Size}}{{end}}", "me4270000"},
      {"{{$x := .ID}}{{$x}}{{$x = 3}}{{$x}}", "sha256:01234567893"},
      {"{{with $c := .Config}}{{$c.User}}{{end}}", "me"},
      {"{{eq .Size 4270000}} {{ne 1 2}} {{eq 1 2 1}} {{lt 1 2}} {{ge \"b\" \"a\"}} {{not .Tags}}",
       "true true true true true false"},
      {"{{and .Tags .Size}} {{or .Dangling \"no\"}} {{and .Empty (index .Empty 0)}}", "4270000 no []"},
      {"a {{- .Size -}} b", "a4270000b"},
      {"a\n{{- /* said aside */ -}}\n b", "ab"},
      {"{{/* a comment */}}x", "x"},
      {R"({{"a\tb\n\\\"\x41é"}})", "a\tb\n\\\"Aé"},
      {"{{`raw \\n`}}", "raw \\n"},
      {"{{-1}} {{ -1 }} {{1.5}} {{true}} {{nil}}", "-1 -1 1.5 true <nil>"},
  };
  for (auto [text, expected] : cases) EXPECT_EQ(executed(text), expected) << text;
}

TEST(Template, AnErrorNamesThePositionAndTheText) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"{{.Nope}}", "error: template: at 3, near \".Nope}}\": there is no field Nope"},
      {"{{.ID.X}}", "error: template: at 3, near \".ID.X}}\": there is no field X: sha256:0123456789 has no fields"},
      {"{{.ID", "parse error: template: at its end: }} is missing"},
      {"x{{", "parse error: template: at its end: }} is missing"},
      {"{{}}", "parse error: template: at 3, near \"}}\": a value is missing"},
      {"{{nope .}}", "parse error: template: at 3, near \"nope .}}\": there is no function nope"},
      {"{{if .ID}}x", "parse error: template: at 3, near \"if .ID}}x\": {{end}} is missing"},
      {"{{end}}", "parse error: template: at 3, near \"end}}\": there is nothing open here"},
      {"a{{if 1}}{{else}}{{else}}{{end}}", "parse error: template: at 20, near \"else}}{{end}}\": a second {{else}}"},
      {"{{$x}}", "parse error: template: at 3, near \"$x}}\": there is no variable $x"},
      {"{{if $x := 1}}{{end}}{{$x}}", "parse error: template: at 24, near \"$x}}\": there is no variable $x"},
      {"{{\"abc}}", "parse error: template: at 3, near \"\"abc}}\": the string has no end"},
      {"{{.ID | .Size}}", "parse error: template: at 9, near \".Size}}\": a pipe leads to a function only"},
      {"{{.ID .Size}}",
       "parse error: template: at 3, near \".ID .Size}}\": this is no function and takes no arguments"},
      {"{{json upper}}", "parse error: template: at 8, near \"upper}}\": put the inner call in parentheses"},
      {"{{index .Tags 2}}", "error: template: at 3, near \"index .Tags 2}}\": index: 2 is out of range, there are 2"},
      {"{{index .Tags -1}}",
       "error: template: at 3, near \"index .Tags -1}}\": index: -1 is out of range, there are 2"},
      {"{{upper 1}}", "error: template: at 3, near \"upper 1}}\": 1 is no text"},
      {"{{join .Tags}}", "error: template: at 3, near \"join .Tags}}\": join does not take 1 arguments"},
      {"{{printf \"%d\" \"x\"}}", "error: template: at 3, near \"printf \"%d\" \"x\"}}\": x is no whole number"},
      {"{{printf \"%s\"}}",
       "error: template: at 3, near \"printf \"%s\"}}\": printf: there are more verbs than values"},
      {"{{range .Size}}{{end}}", "error: template: at 9, near \".Size}}{{end}}\": range: 4270000 has no elements"},
      {"{{lt 1 \"a\"}}", "error: template: at 3, near \"lt 1 \"a\"}}\": 1 and a have no order"},
      {"{{(.ID}}", "parse error: template: at 7, near \"}}\": ) is missing"},
      {"{{\"a\"\"b\"}}", "parse error: template: at 6, near \"\"b\"}}\": this was not expected"},
      {"{{/* x}}", "parse error: template: at 5, near \" x}}\": the comment has no end"},
  };
  for (auto [text, expected] : cases) EXPECT_EQ(executed(text), expected) << text;
}

TEST(Template, AnUnknownFieldListsThoseThereAre) {
  auto result = Template::parse("{{.Config.Nope}}")->execute(value());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::invalid_argument);
  EXPECT_EQ(result.error().hint, "there are: User, Labels");
}

TEST(Template, DepthAndWorkAreBounded) {
  std::string parentheses = "{{" + std::string(10'000, '(') + "1" + std::string(10'000, ')') + "}}";
  EXPECT_FALSE(Template::parse(parentheses));
  std::string blocks;
  for (int i = 0; i < 1000; ++i) blocks += "{{if 1}}";
  EXPECT_FALSE(Template::parse(blocks));
  std::string chain = "{{if 0}}";
  for (int i = 0; i < 1000; ++i) chain += "{{else if 0}}";
  EXPECT_FALSE(Template::parse(chain + "{{end}}"));
  EXPECT_FALSE(Template::parse(std::string(1 << 20, 'x')));
  std::string loops;
  for (int i = 0; i < 40; ++i) loops += "{{range $.Tags}}";
  for (int i = 0; i < 40; ++i) loops += "{{end}}";
  auto parsed = Template::parse(loops);
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->execute(value()));
}

TEST(Template, SaysWhetherItMentionsAField) {
  auto parsed = Template::parse("{{if .Tag}}{{range .X.Y}}{{$.Digest}}{{end}}{{end}}");
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->mentions("Digest"));
  EXPECT_TRUE(parsed->mentions("Tag"));
  EXPECT_FALSE(parsed->mentions("Y"));
}

TEST(ForeignJson, IsDiscardedWhereItIsNoneAndCutWhereItIsTooDeep) {
  EXPECT_TRUE(parse_foreign_json("{").is_discarded());
  EXPECT_EQ(print_json(parse_foreign_json(R"({"b":1,"a":[2]})")), R"({"b":1,"a":[2]})");
  std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_LT(print_json(parse_foreign_json(deep)).size(), 1000u);
}

}  // namespace
}  // namespace diatom::cli
