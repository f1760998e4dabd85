#include "image/registry/challenge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diatom::image {
namespace {

using testing::ElementsAre;
using Params = std::map<std::string, std::string>;

TEST(Challenge, ReadsWhatRegistriesSend) {
  struct Case {
    std::string_view header;
    std::vector<Challenge> expected;
  };
  const Case cases[] = {
      {R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push")",
       {{"bearer",
         "",
         {{"realm", "https://auth.docker.io/token"},
          {"service", "registry.docker.io"},
          {"scope", "repository:a/b:pull,push"}}}}},
      {R"(Basic realm="Sonatype \"Nexus\" \\ x")", {{"basic", "", {{"realm", R"(Sonatype "Nexus" \ x)"}}}}},
      {"BASIC Realm=plain", {{"basic", "", {{"realm", "plain"}}}}},
      {R"(Basic realm="a, b=c", charset="UTF-8", Bearer realm = "x" , service=y)",
       {{"basic", "", {{"realm", "a, b=c"}, {"charset", "UTF-8"}}},
        {"bearer", "", {{"realm", "x"}, {"service", "y"}}}}},
      {"Negotiate, Basic realm=\"\"", {{"negotiate", "", {}}, {"basic", "", {{"realm", ""}}}}},
      {"Negotiate YWJj==, Basic realm=r", {{"negotiate", "YWJj==", {}}, {"basic", "", {{"realm", "r"}}}}},
      {" , ,Basic realm=r,, ", {{"basic", "", {{"realm", "r"}}}}},
      {"Bearer a=1, a=2", {{"bearer", "", {{"a", "1"}}}}},
  };
  for (const Case& c : cases) EXPECT_EQ(parse_challenges(c.header), c.expected) << c.header;
}

TEST(Challenge, StopsAtWhatIsNoneAndKeepsWhatCameBefore) {
  for (std::string_view header : {"", ",", "=", "\"", "Basic realm=\"open", "@", "Basic\x01"})
    for (const auto& challenge : parse_challenges(header)) EXPECT_TRUE(challenge.params.empty()) << header;
  auto kept = parse_challenges("Basic realm=r, \"rest");
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_EQ(kept[0].params, (Params{{"realm", "r"}}));
}

TEST(Challenge, IsBounded) {
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "a" + std::to_string(i) + " x=y, ";
  EXPECT_LE(parse_challenges(many).size(), 16U);
}

TEST(Challenge, BearerGoesBeforeBasic) {
  auto choose = [](std::string_view header) {
    auto chosen = choose_challenge(parse_challenges(header));
    return chosen ? chosen->scheme : "none";
  };
  EXPECT_EQ(choose("Basic realm=a, Bearer realm=b"), "bearer");
  EXPECT_EQ(choose("Bearer service=b, Basic realm=a"), "basic");
  EXPECT_EQ(choose("Negotiate"), "none");
}

TEST(Scopes, JoinTheActionsOfOneResource) {
  Scopes scopes("repository:a/b:pull");
  scopes.add("repository:a/b:push,pull repository:host:5000/c:pull nonsense :x");
  EXPECT_THAT(scopes.texts(), ElementsAre("repository:a/b:pull,push", "repository:host:5000/c:pull"));
  EXPECT_THAT(Scopes("registry:catalog: a:").texts(), ElementsAre("a:", "registry:catalog:"));
}

}  // namespace
}  // namespace diatom::image
