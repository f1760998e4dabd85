#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "oci/manifest.h"

namespace diatom::oci {
namespace {

using testing::HasSubstr;

std::string deep(std::string_view before) {
  constexpr size_t levels = 200'000;
  std::string text(before);
  text.append(levels, '[').append(levels, ']');
  return before.starts_with('{') ? text + "}" : text;
}

TEST(Documents, ThatNestDeeplyAreRefusedBeforeTheyAreParsed) {
  auto refused = [](const auto& result) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::invalid_argument);
    EXPECT_THAT(result.error().message, HasSubstr("deeper than 64 levels"));
  };
  refused(parse_index(deep(R"({"manifests":)")));
  refused(parse_manifest(deep(R"({"layers":)")));
  refused(parse_config(deep(R"({"config":)")));
  refused(parse_docker_archive(deep("")));
}

TEST(Documents, OfTooManyValuesAreRefusedBeforeTheyAreParsed) {
  // Three bytes of text each, which a parser makes 96 of.
  std::string crowd;
  for (size_t i = 0; i < 1'000'000; ++i) crowd += "{},";
  auto refused = [](const auto& result) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::invalid_argument);
    EXPECT_THAT(result.error().message, HasSubstr("more than 200000 values"));
  };
  refused(parse_index(R"({"x":[)" + crowd + "{}]}"));
  refused(parse_manifest(R"({"x":[)" + crowd + "{}]}"));
  refused(parse_config(R"({"x":[)" + crowd + "{}]}"));
  refused(parse_docker_archive("[" + crowd + "{}]"));
}

TEST(Documents, AreQuotedHarmlessly) {
  auto refused = Digest::parse("sha256:\x1b[2J");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("\"sha256:?[2J\""));
}

}  // namespace
}  // namespace diatom::oci
