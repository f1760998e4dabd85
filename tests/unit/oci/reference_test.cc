#include "oci/reference.h"

#include <gtest/gtest.h>

namespace diatom::oci {
namespace {

const std::string digest = "sha256:" + std::string(64, 'd');

TEST(Reference, FillsInDockersDefaults) {
  struct Case {
    std::string text, registry, repository, tag, familiar;
  };
  const Case cases[] = {
      {"busybox", "docker.io", "library/busybox", "latest", "busybox:latest"},
      {"busybox:1.36", "docker.io", "library/busybox", "1.36", "busybox:1.36"},
      {"library/busybox", "docker.io", "library/busybox", "latest", "busybox:latest"},
      {"user/image", "docker.io", "user/image", "latest", "user/image:latest"},
      {"docker.io/user/image", "docker.io", "user/image", "latest", "user/image:latest"},
      {"index.docker.io/busybox", "docker.io", "library/busybox", "latest", "busybox:latest"},
      {"localhost/image", "localhost", "image", "latest", "localhost/image:latest"},
      {"localhost:5000/image:v1", "localhost:5000", "image", "v1", "localhost:5000/image:v1"},
      {"quay.io/a/b/c", "quay.io", "a/b/c", "latest", "quay.io/a/b/c:latest"},
      {"Registry/image", "Registry", "image", "latest", "Registry/image:latest"},
      {"[::1]:5000/image", "[::1]:5000", "image", "latest", "[::1]:5000/image:latest"},
      {"a__b/c-----d.e_f", "docker.io", "a__b/c-----d.e_f", "latest", "a__b/c-----d.e_f:latest"},
  };
  for (const Case& test : cases) {
    auto reference = Reference::parse(test.text);
    ASSERT_TRUE(reference) << reference.error().message;
    EXPECT_EQ(reference->registry, test.registry) << test.text;
    EXPECT_EQ(reference->repository, test.repository) << test.text;
    EXPECT_EQ(reference->tag, test.tag) << test.text;
    EXPECT_EQ(reference->familiar(), test.familiar) << test.text;
  }
}

TEST(Reference, ADigestStandsInForTheTagOrBesideIt) {
  auto alone = Reference::parse("busybox@" + digest);
  ASSERT_TRUE(alone);
  EXPECT_EQ(alone->tag, "");
  EXPECT_EQ(alone->canonical(), "docker.io/library/busybox@" + digest);
  auto both = Reference::parse("busybox:1@" + digest);
  ASSERT_TRUE(both);
  EXPECT_EQ(both->canonical(), "docker.io/library/busybox:1@" + digest);
}

TEST(Reference, RefusesWhatTheGrammarDoesNotHave) {
  const std::string cases[] = {"",
                               ":tag",
                               "@" + digest,
                               "UPPER",
                               "image:",
                               "image:-tag",
                               "image:" + std::string(129, 't'),
                               "image@sha256:short",
                               "image@" + digest + "@" + digest,
                               "/image",
                               "image/",
                               "a//b",
                               "a/../b",
                               "a..b",
                               "a___b",
                               "-a",
                               "a-",
                               "a b",
                               "host.name:port/image",
                               "host.name:/image",
                               "host.name:123456/image",
                               ":5000/image",
                               "[]/image",
                               "[::1/image",
                               "[::1]x/image",
                               "[g::1]/image",
                               "-host.name/image",
                               "host_name.org/image",
                               std::string("image\0", 6),
                               std::string(256, 'a')};
  for (const std::string& text : cases) {
    auto reference = Reference::parse(text);
    ASSERT_FALSE(reference) << text << " became " << reference->canonical();
    EXPECT_EQ(reference.error().code, Errc::invalid_argument) << text;
    EXPECT_FALSE(reference.error().hint.empty()) << text;
  }
}

// Found by fuzzing: without "docker.io/" their first part is taken for a registry.
TEST(Reference, KeepsTheRegistryWhereTheShortFormWouldNameAnother) {
  for (std::string text : {"docker.io/localhost/x:1", "docker.io/a.b/c:1"}) {
    auto reference = Reference::parse(text);
    ASSERT_TRUE(reference);
    EXPECT_EQ(reference->registry, "docker.io");
    EXPECT_EQ(reference->familiar(), text);
  }
}

}  // namespace
}  // namespace diatom::oci
