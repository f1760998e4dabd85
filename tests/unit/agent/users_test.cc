#include "users.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diatom::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view passwd =
    "# a comment\n"
    "root:x:0:0:root:/root:/bin/sh\n"
    "short:x:1\n"
    "web:x:33:34:web:/var/www:/bin/false\n"
    "homeless:x:40:40:::\n"
    "minus:x:4294967295:0::/:\n"
    "1000:x:7:7::/seven:\n"
    "last:x:50:51::/last:/bin/sh";
constexpr std::string_view group =
    "root:x:0:\n"
    "www:x:34:\n"
    "docker:x:999:root,web\n"
    "audio:x:29:web\n"
    "webby:x:30:webb,we\n"
    "broken:x:many:web\n";

TEST(ResolveUser, UnderstandsDockersForms) {
  struct Case {
    std::string_view wanted;
    uid_t uid;
    gid_t gid;
    std::string_view home;
  };
  const Case cases[] = {
      {"", 0, 0, "/root"},
      {"root", 0, 0, "/root"},
      {"web", 33, 34, "/var/www"},
      {"33", 33, 34, "/var/www"},
      {"web:docker", 33, 999, "/var/www"},
      {"web:5", 33, 5, "/var/www"},
      {"web:", 33, 34, "/var/www"},
      {":docker", 0, 999, "/root"},
      {"12345", 12345, 0, "/"},
      {"12345:678", 12345, 678, "/"},
      {"4294967294", 4294967294, 0, "/"},
      {"homeless", 40, 40, "/"},
      {"1000", 7, 7, "/seven"},  // a name that is a number is a name first
      {"last", 50, 51, "/last"},
  };
  for (auto [wanted, uid, gid, home] : cases) {
    auto user = resolve_user(wanted, passwd, group);
    ASSERT_TRUE(user) << wanted << ": " << user.error().message;
    EXPECT_EQ(user->uid, uid) << wanted;
    EXPECT_EQ(user->gid, gid) << wanted;
    EXPECT_EQ(user->home, home) << wanted;
  }
}

TEST(ResolveUser, AddsTheGroupsThatListTheUser) {
  EXPECT_THAT(resolve_user("web", passwd, group).value().groups, ElementsAre(999, 29));
  EXPECT_THAT(resolve_user("33", passwd, group).value().groups, ElementsAre(999, 29));
  EXPECT_THAT(resolve_user("", passwd, group).value().groups, ElementsAre(999));
}

TEST(ResolveUser, AGroupThatWasAskedForIsTheOnlyOne) {
  EXPECT_TRUE(resolve_user("web:www", passwd, group).value().groups.empty());
}

TEST(ResolveUser, NumbersNeedNoFiles) {
  auto user = resolve_user("5:6", "", "");
  ASSERT_TRUE(user);
  EXPECT_EQ(user->uid, 5U);
  EXPECT_EQ(user->gid, 6U);
}

TEST(ResolveUser, NamesWhatItDoesNotFind) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"nobody", "user \"nobody\""},
      {"short", "user \"short\""},
      {"-1", "user \"-1\""},
      {"0x0", "user \"0x0\""},
      {"1 ", "user \"1 \""},
      {"web:nogroup", "group \"nogroup\""},
      {"web:broken", "group \"broken\""},
      {"web:1:2", "group \"1:2\""},
  };
  for (auto [wanted, named] : cases) {
    auto user = resolve_user(wanted, passwd, group);
    ASSERT_FALSE(user) << wanted;
    EXPECT_EQ(user.error().code, Errc::not_found) << wanted;
    EXPECT_THAT(user.error().message, HasSubstr(named));
  }
}

// To setuid(2) this number means "leave it as it is", which is root.
TEST(ResolveUser, NobodyBecomesMinusOne) {
  for (std::string_view wanted : {"4294967295", "minus", "web:4294967295", "18446744073709551615"})
    EXPECT_FALSE(resolve_user(wanted, passwd, group)) << wanted;
}

TEST(Users, MoreGroupsAreNamesOrNumbers) {
  auto user = resolve_user("0", "", "audio:x:29:\n", {"audio", "5000"});
  ASSERT_TRUE(user);
  EXPECT_EQ(user->groups, (std::vector<gid_t>{29, 5000}));
  auto unknown = resolve_user("0", "", "", {"nobody"});
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("\"nobody\""), std::string::npos);
}

TEST(Users, TheFirstNameOfANumberCounts) {
  auto names = user_names("root:x:0:0::/:\ntoor:x:0:0::/:\nweb:x:33:33\nbad:x:y:1\n:x:5:5\n");
  EXPECT_EQ(names, (std::map<uid_t, std::string>{{0, "root"}, {33, "web"}}));
}

}  // namespace
}  // namespace diatom::agent
