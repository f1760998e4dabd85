#include "rootfs/path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/scratch.h"

namespace diatom::rootfs {
namespace {

TEST(NormalisePath, GivesOneSpellingToEachPath) {
  const std::pair<std::string, std::string> cases[] = {{"usr/lib", "usr/lib"},
                                                       {"./usr//lib/", "usr/lib"},
                                                       {"usr/./lib/.", "usr/lib"},
                                                       {"./", ""},
                                                       {"", ""},
                                                       {".", ""},
                                                       {"/", ""},
                                                       {"//", ""},
                                                       {"a", "a"},
                                                       {"...", "..."},
                                                       {"..a/b..", "..a/b.."},
                                                       {"ä\xff", "ä\xff"},
                                                       {"a\nb", "a\nb"}};
  for (const auto& [path, clean] : cases) EXPECT_EQ(normalise_path(path).value(), clean) << path;
}

TEST(NormalisePath, RefusesWhatNoLayerMayHaveAndNamesIt) {
  using namespace std::string_literals;
  for (const std::string& path : {"../etc"s, "a/../b"s, "a/.."s, ".."s, "/etc/passwd"s, "//x"s, "a\0b"s,
                                  std::string(256, 'n'), "a/" + std::string(256, 'n') + "/b"}) {
    auto refused = normalise_path(path);
    ASSERT_FALSE(refused) << path;
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
    EXPECT_THAT(refused.error().message, testing::StartsWith("path \"" + path.substr(0, 1))) << path;
    EXPECT_LT(refused.error().message.size(), 300U);
  }
  EXPECT_THAT(test::error_of(normalise_path("../\x1b[31m\n")), testing::HasSubstr("../?[31m "));
}

TEST(NormalisePath, AllowsTheLongestPathThatLinuxHas) {
  std::string name(255, 'n');
  std::string longest;
  for (int i = 0; i < 15; ++i) longest += name + "/";
  longest += name;
  ASSERT_EQ(longest.size(), 4095U);
  EXPECT_EQ(normalise_path(longest).value(), longest);
  EXPECT_EQ(normalise_path(".//" + longest + "/").value(), longest);
  EXPECT_FALSE(normalise_path(longest + "/x"));
}

TEST(NormaliseLinkTarget, StaysInsideTheRootWhetherAbsoluteOrNot) {
  EXPECT_EQ(normalise_link_target("/usr//bin/env").value(), "usr/bin/env");
  EXPECT_EQ(normalise_link_target("usr/bin/env").value(), "usr/bin/env");
  EXPECT_FALSE(normalise_link_target("/usr/../../etc"));
}

}  // namespace
}  // namespace diatom::rootfs
