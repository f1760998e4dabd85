#include <gtest/gtest.h>

#include "image/registry/api_error.h"
#include "image/registry/authorizer.h"
#include "image/registry/manifest_reply.h"

namespace diatom::image {
namespace {

TEST(ErrorBody, IsDescribedInPrintableWords) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]})",
       "manifest unknown (MANIFEST_UNKNOWN)"},
      {R"({"errors":[{"code":"DENIED","message":"denied","detail":"no such plan"}]})", "denied: no such plan (DENIED)"},
      {R"({"errors":[]})", ""},
      {R"({"details":"incorrect username or password"})", "incorrect username or password"},
      {R"({"error":"invalid_grant","error_description":"it ended"})", "it ended (invalid_grant)"},
      {R"({"message":"\u001b[31mred\u0007"})", "?[31mred?"},
      {"404 page not found\n", "404 page not found"},
      {"<html><body>x</body></html>", ""},
      {"", ""},
  };
  for (auto [body, expected] : cases) EXPECT_EQ(describe_error_body(body), expected) << body;
}

TEST(TokenAnswer, HasATokenUnderEitherName) {
  EXPECT_EQ(parse_token_answer(R"({"token":"a","access_token":"b"})")->token, "a");
  EXPECT_EQ(parse_token_answer(R"({"access_token":"b"})")->token, "b");
  EXPECT_EQ(parse_token_answer(R"({"token":"a"})")->lifetime, std::chrono::seconds(60));
  EXPECT_EQ(parse_token_answer(R"({"token":"a","expires_in":300})")->lifetime, std::chrono::seconds(300));
  EXPECT_EQ(parse_token_answer(R"({"token":"a","expires_in":-5})")->lifetime, std::chrono::seconds(60));
  EXPECT_EQ(parse_token_answer(R"({"token":"a","expires_in":1e300})")->lifetime, std::chrono::hours(24));
  for (std::string_view body : {"", "[]", "{}", R"({"token":1})", R"({"token":""})", R"({"token":"a\r\nX-Evil: b"})"})
    EXPECT_FALSE(parse_token_answer(body)) << body;
}

TEST(ManifestType, IsWhatWasAnnouncedOrWhatTheDocumentSays) {
  namespace type = oci::media_type;
  EXPECT_EQ(*manifest_media_type(std::string(type::index) + "; charset=utf-8", "{}"), type::index);
  EXPECT_EQ(*manifest_media_type(type::docker_manifest, "{}"), type::docker_manifest);
  EXPECT_EQ(*manifest_media_type("application/json", R"({"manifests":[]})"), type::index);
  EXPECT_EQ(*manifest_media_type(std::nullopt, R"({"config":{}})"), type::manifest);
  EXPECT_EQ(*manifest_media_type("text/plain", "{\"mediaType\":\"" + std::string(type::docker_list) + "\"}"),
            type::docker_list);
  for (auto [announced, bytes] : {std::pair{"application/vnd.docker.distribution.manifest.v1+prettyjws", "{}"},
                                  {"application/json", R"({"schemaVersion":1})"},
                                  {"text/html", "<html>"},
                                  {"application/vnd.example+json", "{}"}})
    EXPECT_EQ(manifest_media_type(announced, bytes).error().code, Errc::unsupported) << announced;
}

TEST(ManifestCheck, ComparesTheDigestWithEverythingThatWasSaid) {
  const std::string bytes = R"({"schemaVersion":2,"config":{}})";
  HttpHead head;
  auto good = check_manifest("latest", head, bytes);
  ASSERT_TRUE(good);
  EXPECT_TRUE(check_manifest(good->digest.text(), head, bytes));
  EXPECT_FALSE(check_manifest("sha256:" + std::string(64, '0'), head, bytes));
  head.headers.add("Docker-Content-Digest", good->digest.text());
  EXPECT_TRUE(check_manifest("latest", head, bytes));
  EXPECT_FALSE(check_manifest("latest", head, bytes + " "));
}

TEST(NextLink, IsTheOneWithTheRelation) {
  EXPECT_EQ(next_link(R"(</v2/a/tags/list?last=x&n=2>; rel="next")"), "/v2/a/tags/list?last=x&n=2");
  EXPECT_EQ(next_link(R"(<a>; rel="prev", <b>; rel=next)"), "b");
  for (std::string_view header : {"", "<", "<a>", "a>; rel=\"next\"", "<a>; rel=\"prev\""})
    EXPECT_FALSE(next_link(header)) << header;
}

}  // namespace
}  // namespace diatom::image
