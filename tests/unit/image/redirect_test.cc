#include "image/registry/redirect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diatom::image {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

HttpHead answer(long status, std::string_view location) {
  HttpHead head{.status = status, .headers = {}};
  if (!location.empty()) head.headers.add("location", location);
  return head;
}

HttpRequest request(const std::string& method = "GET", const std::string& url = "https://a.example/v2/x") {
  HttpRequest made;
  made.method = method;
  made.url = url;
  made.headers = {"Accept: x", "Authorization: Basic secret"};
  made.tls.client_cert = "cert";
  made.tls.client_key = "key";
  return made;
}

TEST(FollowRedirect, GoesOnlyWhereTheMethodMayGo) {
  struct Case {
    long status;
    const char* method;
    bool followed;
  };
  for (auto [status, method, followed] :
       {Case{301, "GET", true}, Case{302, "HEAD", true}, Case{303, "GET", true}, Case{307, "GET", true},
        Case{307, "PUT", true}, Case{308, "POST", true}, Case{302, "POST", false}, Case{303, "PUT", false},
        Case{200, "GET", false}, Case{300, "GET", false}, Case{304, "GET", false}, Case{401, "GET", false}}) {
    HttpRequest made = request(method);
    auto result = follow_redirect(answer(status, "/y"), made, 0, "a.example");
    ASSERT_TRUE(result) << status << method;
    EXPECT_EQ(*result, followed) << status << method;
    EXPECT_EQ(made.url, followed ? "https://a.example/y" : "https://a.example/v2/x");
  }
  HttpRequest made = request();
  EXPECT_FALSE(*follow_redirect(answer(302, ""), made, 0, "a.example")) << "it says not where to";
}

TEST(FollowRedirect, TakesSecretsAlongWithinOneOriginOnly) {
  struct Case {
    const char* location;
    bool same;
  };
  for (auto [location, same] :
       {Case{"/y", true}, Case{"https://a.example/y", true}, Case{"https://A.EXAMPLE:443/y", true}, Case{"?z", true},
        Case{"https://b.example/y", false}, Case{"https://a.example:444/y", false}, Case{"//b.example/y", false},
        Case{"https://a.example.b.example/y", false}}) {
    HttpRequest made = request();
    ASSERT_TRUE(*follow_redirect(answer(307, location), made, 0, "a.example")) << location;
    EXPECT_EQ(made.headers.size(), same ? 2U : 1U) << location;
    EXPECT_EQ(made.headers.front(), "Accept: x");
    EXPECT_EQ(made.tls.client_cert.empty(), !same) << location;
    EXPECT_EQ(made.tls.client_key.empty(), !same) << location;
  }
}

TEST(FollowRedirect, DoesNotGiveBackWhatItHasLeftBehind) {
  HttpRequest made = request();
  ASSERT_TRUE(*follow_redirect(answer(307, "https://b.example/y"), made, 0, "a.example"));
  ASSERT_TRUE(*follow_redirect(answer(307, "https://a.example/y"), made, 1, "a.example"));
  EXPECT_THAT(made.headers, ElementsAre("Accept: x"));
}

TEST(FollowRedirect, RefusesPlainHttpAfterTlsAndWhatIsNoUrl) {
  struct Case {
    const char* location;
    const char* why;
  };
  for (auto [location, why] : {Case{"http://a.example/y", "plain HTTP"}, Case{"ftp://a.example/y", "no URL"},
                               Case{"https://user:word@a.example/", "no URL"}, Case{"file:///etc/passwd", "no URL"}}) {
    HttpRequest made = request();
    auto refused = follow_redirect(answer(307, location), made, 0, "a.example");
    ASSERT_FALSE(refused) << location;
    EXPECT_EQ(refused.error().fault, HttpFault::final);
    EXPECT_THAT(refused.error().why, HasSubstr(why)) << location;
    EXPECT_EQ(made.url, "https://a.example/v2/x") << "it stays what it was";
  }
  HttpRequest trusting = request();
  trusting.tls.verify = false;
  EXPECT_TRUE(*follow_redirect(answer(307, "http://a.example/y"), trusting, 0, "a.example"));
  EXPECT_THAT(trusting.headers, ElementsAre("Accept: x")) << "another scheme is another origin";
}

TEST(FollowRedirect, HasAnEnd) {
  HttpRequest made = request();
  for (int followed = 0; followed < most_redirects; ++followed)
    EXPECT_TRUE(*follow_redirect(answer(302, "/y"), made, followed, "a.example"));
  EXPECT_THAT(follow_redirect(answer(302, "/y"), made, most_redirects, "a.example").error().why,
              HasSubstr("one too many"));
}

}  // namespace
}  // namespace diatom::image
