#include "image/registry/auth_file.h"

#include <gtest/gtest.h>

#include "base/base64.h"

namespace diatom::image {
namespace {

std::string user_of(std::string_view text, std::string_view registry, std::string_view repository = "") {
  auto answer = find_credentials(text, registry, repository);
  if (!answer) return "error";
  return answer->credentials ? answer->credentials->username + ":" + answer->credentials->password : "none";
}

TEST(Base64, IsRfc4648s) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xfe", "//4="}};
  for (auto [bytes, text] : cases) {
    EXPECT_EQ(base64_encode(bytes), text);
    EXPECT_EQ(base64_decode(text), bytes);
  }
  EXPECT_EQ(base64_decode("Zg"), "f");
  for (std::string_view text : {"Z", "Zg=a", "Z g=", "Zm9v\n"}) EXPECT_FALSE(base64_decode(text)) << text;
}

TEST(AuthFile, FindsARegistryUnderEverySpelling) {
  auto file = [](std::string_view key) {
    return R"({"auths": {")" + std::string(key) + R"(": {"auth": ")" + base64_encode("me:pass:word") + R"("}}})";
  };
  struct Case {
    std::string_view key;
    std::string_view registry;
    bool found;
  };
  const Case cases[] = {
      {"quay.io", "quay.io", true},
      {"https://quay.io", "quay.io", true},
      {"http://quay.io/v2/", "quay.io", true},
      {"https://index.docker.io/v1/", "docker.io", true},
      {"docker.io", "docker.io", true},
      {"index.docker.io", "docker.io", true},
      {"localhost:5000", "localhost:5000", true},
      {"localhost:5000", "localhost:5001", false},
      {"localhost", "localhost:5000", false},
      {"quay.io", "evilquay.io", false},
      {"quay.io.evil.org", "quay.io", false},
      {"quay.io/org", "quay.io", false},
  };
  for (const Case& c : cases)
    EXPECT_EQ(user_of(file(c.key), c.registry), c.found ? "me:pass:word" : "none") << c.key << " for " << c.registry;
}

TEST(AuthFile, TheNarrowestNamespaceCounts) {
  std::string text = R"({"auths": {"q.io": {"username": "host", "password": "1"},
                                   "q.io/org": {"username": "org", "password": "2"},
                                   "q.io/org/app": {"username": "app", "password": "3"}}})";
  EXPECT_EQ(user_of(text, "q.io", "org/app"), "app:3");
  EXPECT_EQ(user_of(text, "q.io", "org/application"), "org:2");
  EXPECT_EQ(user_of(text, "q.io", "org/app/more"), "app:3");
  EXPECT_EQ(user_of(text, "q.io", "else"), "host:1");
  EXPECT_EQ(user_of(text, "q.io"), "host:1");
}

TEST(AuthFile, KnowsHelpersAndIdentityTokens) {
  std::string text = R"({"credsStore": "all", "credHelpers": {"gcr.io": "gcloud"},
                         "auths": {"t.io": {"auth": "bWU6", "identitytoken": "refresh"}}})";
  EXPECT_EQ(find_credentials(text, "gcr.io", "")->helper, "gcloud");
  EXPECT_EQ(find_credentials(text, "x.io", "")->helper, "all");
  EXPECT_EQ(find_credentials(text, "t.io", "")->credentials->identity_token, "refresh");
}

TEST(AuthFile, IgnoresFieldsOfAWrongType) {
  for (std::string_view text :
       {"", " \n", "{}", R"({"auths": []})", R"({"auths": {"q.io": 1}})", R"({"auths": {"q.io": {"auth": "%%%"}}})",
        R"({"auths": {"q.io": {}}})", R"({"credHelpers": {"q.io": 1}, "credsStore": {}})"})
    EXPECT_EQ(user_of(text, "q.io"), "none") << text;
  for (std::string_view text : {"[]", "x", "1"}) EXPECT_EQ(user_of(text, "q.io"), "error") << text;
}

TEST(AuthFile, WritingKeepsWhatItDoesNotKnow) {
  std::string before = R"({"psFormat": "x", "auths": {"a.io": {"auth": "YTpi", "email": "e"}}, "plugins": {"p": 1}})";
  for (auto style : {AuthFileStyle::docker, AuthFileStyle::containers}) {
    std::string after = *add_credentials(before, "docker.io", {"me", "secret", ""}, style);
    EXPECT_EQ(user_of(after, "docker.io"), "me:secret");
    EXPECT_EQ(user_of(after, "a.io"), "a:b");
    for (std::string_view kept : {"psFormat", "email", "plugins"}) EXPECT_NE(after.find(kept), std::string::npos);
    EXPECT_EQ(after.find("index.docker.io") != std::string::npos, style == AuthFileStyle::docker);
    std::string gone = **remove_credentials(after, "docker.io");
    EXPECT_EQ(user_of(gone, "docker.io"), "none");
    EXPECT_EQ(user_of(gone, "a.io"), "a:b");
    EXPECT_FALSE(*remove_credentials(gone, "docker.io"));
  }
}

}  // namespace
}  // namespace diatom::image
