#include "image/registry/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/file.h"
#include "image/registry/requester.h"
#include "image/registry/url.h"

namespace diatom::image {
namespace {

using testing::HasSubstr;

TEST(Loopback, IsThisHostOnly) {
  for (std::string_view host : {"localhost", "localhost:5000", "127.0.0.1", "127.9.8.7:80", "[::1]", "[::1]:5000"})
    EXPECT_TRUE(is_loopback(host)) << host;
  for (std::string_view host : {"", "localhost.evil.org", "128.0.0.1", "127.0.0.1.evil.org", "[::2]:5000", "0.0.0.0"})
    EXPECT_FALSE(is_loopback(host)) << host;
}

TEST(Url, ALocationMayBeRelativeAndHaveAQuery) {
  const std::tuple<std::string, std::string, std::optional<std::string>> cases[] = {
      {"https://h:1/v2/a/blobs/uploads/", "/v2/a/blobs/uploads/1?_state=x",
       "https://h:1/v2/a/blobs/uploads/1?_state=x"},
      {"https://h:1/v2/a/b", "c?d=e", "https://h:1/v2/a/c?d=e"},
      {"https://h/v2/", "//s3.example.org/x", "https://s3.example.org/x"},
      {"https://h/v2/", "http://other/x#y", "http://other/x"},
      {"https://h/v2/", "ftp://other/x", std::nullopt},
      {"https://h/v2/", "file:///etc/passwd", std::nullopt},
      {"https://h/v2/", "https://user:pass@other/x", std::nullopt},
      {"https://h/v2/", "", std::nullopt},
  };
  for (const auto& [base, location, expected] : cases) EXPECT_EQ(resolve_url(base, location), expected) << location;
}

TEST(Url, OriginsDifferByPortAndScheme) {
  EXPECT_EQ(origin_of("https://H.org/a"), origin_of("https://h.org:443/b"));
  EXPECT_NE(origin_of("https://h.org/a"), origin_of("http://h.org/a"));
  EXPECT_NE(origin_of("https://h.org/a"), origin_of("https://h.org:444/a"));
  EXPECT_EQ(with_query("https://h/x?_state=1", "digest", "sha256:ab"), "https://h/x?_state=1&digest=sha256%3Aab");
}

TEST(Mirror, HasAHostAndPerhapsAPrefix) {
  auto mirror = parse_mirror("https://mirror.local:5000/proxy/hub/");
  ASSERT_TRUE(mirror);
  EXPECT_EQ(mirror->authority, "mirror.local:5000");
  EXPECT_FALSE(mirror->plain_allowed);
  ApiCall call;
  call.repository = "library/busybox";
  call.tail = "manifests/latest";
  EXPECT_EQ(api_url(*mirror, Endpoint::Scheme::https, call),
            "https://mirror.local:5000/v2/proxy/hub/library/busybox/manifests/latest");
  EXPECT_TRUE(parse_mirror("http://mirror")->plain_only);
  for (const char* url : {"", "mirror:5000", "ftp://mirror", "https://", "https://u:p@mirror", "https://mirror/?x"})
    EXPECT_FALSE(parse_mirror(url)) << url;
}

TEST(RegistrySettings, AreReadPerRegistry) {
  std::string text = R"({"registries": {"docker.io": {"mirrors": ["https://a", "https://b/c"]},
                                        "local:5000": {"insecure": true}}})";
  EXPECT_EQ(parse_registry_settings(text, "docker.io")->mirrors.size(), 2U);
  EXPECT_TRUE(parse_registry_settings(text, "local:5000")->insecure);
  EXPECT_TRUE(parse_registry_settings(text, "quay.io")->mirrors.empty());
  for (std::string_view wrong :
       {"", "[]", R"({"registries": []})", R"({"registries": {"docker.io": []}})",
        R"({"registries": {"docker.io": {"mirrors": "https://a"}}})",
        R"({"registries": {"docker.io": {"mirrors": [1]}}})", R"({"registries": {"docker.io": {"insecure": "yes"}}})"})
    EXPECT_FALSE(parse_registry_settings(wrong, "docker.io")) << wrong;
}

class EndpointPlan : public testing::Test {
 protected:
  EndpointPlan() : folder_(make_folder()) {
    ::setenv("DIATOM_REGISTRIES", (folder_.path() / "registries.json").c_str(), 1);
    ::setenv("XDG_CONFIG_HOME", folder_.path().c_str(), 1);
  }
  ~EndpointPlan() override {
    ::unsetenv("DIATOM_REGISTRIES");
    ::unsetenv("XDG_CONFIG_HOME");
  }
  static fs::path make_folder() {
    std::string name = testing::TempDir() + "diatom-endpoints-XXXXXX";
    return ::mkdtemp(name.data());
  }
  void write(const fs::path& name, std::string_view text) {
    ASSERT_TRUE(make_directories((folder_.path() / name).parent_path()));
    ASSERT_TRUE(replace_file(folder_.path() / name, text));
  }
  TemporaryPath folder_;
};

TEST_F(EndpointPlan, DockerHubIsServedByAnotherHost) {
  auto plan = plan_endpoints("docker.io", {}, true);
  ASSERT_EQ(plan->size(), 1U);
  EXPECT_EQ(plan->front().host, "docker.io");
  EXPECT_EQ(plan->front().authority, "registry-1.docker.io");
  EXPECT_FALSE(plan->front().plain_allowed);
}

TEST_F(EndpointPlan, MirrorsComeFirstAndForPullsOnly) {
  write("registries.json", R"({"registries": {"docker.io": {"mirrors": ["https://a", "http://b:1"]}}})");
  auto plan = plan_endpoints("docker.io", {}, true);
  ASSERT_EQ(plan->size(), 3U);
  EXPECT_EQ((*plan)[0].authority, "a");
  EXPECT_TRUE((*plan)[1].plain_only);
  EXPECT_EQ((*plan)[2].host, "docker.io");
  EXPECT_EQ(plan_endpoints("docker.io", {}, false)->size(), 1U);
}

TEST_F(EndpointPlan, PlainHttpIsForLoopbackAndByWord) {
  EXPECT_TRUE(plan_endpoints("localhost:5000", {}, true)->back().plain_allowed);
  EXPECT_TRUE(plan_endpoints("localhost:5000", {}, true)->back().tls.verify);
  EXPECT_FALSE(plan_endpoints("host:5000", {}, true)->back().plain_allowed);
  RegistryAccess insecure;
  insecure.tls_verify = false;
  EXPECT_TRUE(plan_endpoints("host:5000", insecure, true)->back().plain_allowed);
  write("registries.json", R"({"registries": {"host:5000": {"insecure": true}}})");
  EXPECT_TRUE(plan_endpoints("host:5000", {}, true)->back().plain_allowed);
}

TEST_F(EndpointPlan, CertificatesComeFromTheRegistrysFolderAndTheGivenOne) {
  write("containers/certs.d/host:5000/ca.crt", "CA1");
  write("given/more.crt", "CA2");
  write("given/me.cert", "CERT");
  RegistryAccess access;
  access.cert_dir = folder_.path() / "given";
  EXPECT_THAT(plan_endpoints("host:5000", access, true).error().message, HasSubstr("me.key"));
  write("given/me.key", "KEY");
  TlsOptions tls = plan_endpoints("host:5000", access, true)->back().tls;
  EXPECT_EQ(tls.ca_pem, "CA1\nCA2\n");
  EXPECT_EQ(fs::path(tls.client_key).filename(), "me.key");
  EXPECT_TRUE(plan_endpoints("other", {}, true)->back().tls.ca_pem.empty());
  access.cert_dir = "/nowhere";
  EXPECT_FALSE(plan_endpoints("host:5000", access, true));
}

}  // namespace
}  // namespace diatom::image
