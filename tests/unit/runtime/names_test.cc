#include "runtime/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace diatom {
namespace {

TEST(MakeContainerId, GivesSixtyFourHexDigitsAndNeverTheSame) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    std::string id = make_container_id();
    EXPECT_THAT(id, testing::MatchesRegex("[0-9a-f]+"));
    EXPECT_EQ(id.size(), 64U);
    seen.insert(id);
  }
  EXPECT_EQ(seen.size(), 100U);
}

TEST(CheckContainerName, TakesWhatDockerTakes) {
  for (const char* name : {"ab", "a1", "A_b.c-d", "0x", "web-1"}) EXPECT_TRUE(check_container_name(name)) << name;
  EXPECT_TRUE(check_container_name(std::string(255, 'n')));
}

TEST(CheckContainerName, RefusesTheRestAndNamesIt) {
  for (const std::string& name : {std::string(""), std::string("a"), std::string("-ab"), std::string(".."),
                                  std::string("_a"), std::string("a b"), std::string("a/b"), std::string("a\n"),
                                  std::string("\xc3\xbc\xc3\xbc"), std::string(256, 'n'), std::string("a\0b", 3)}) {
    auto refused = check_container_name(name);
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
    EXPECT_THAT(refused.error().message, testing::HasSubstr(name));
  }
}

TEST(MakeContainerName, IsAllowedAndTheSameForTheSameId) {
  EXPECT_EQ(make_container_name("cf3f2a" + std::string(58, '0')), "quiet_synedra_3f2a");
  for (std::string digits : {"00", "0f", "f0", "ff", "9a", "a9"}) {
    std::string name = make_container_name(digits + std::string(62, '7'));
    EXPECT_TRUE(check_container_name(name)) << name;
  }
}

}  // namespace
}  // namespace diatom
