#include "oci/digest.h"

#include <gtest/gtest.h>

namespace diatom::oci {
namespace {

const std::string hex(64, 'a');

TEST(Digest, ReadsWhatItPrints) {
  auto digest = Digest::parse("sha256:" + hex);
  ASSERT_TRUE(digest);
  EXPECT_EQ(digest->hex(), hex);
  EXPECT_EQ(digest->text(), "sha256:" + hex);
  EXPECT_EQ(*digest, Digest::from_hex(hex));
  EXPECT_FALSE(digest->empty());
  EXPECT_TRUE(Digest().empty());
}

TEST(Digest, RefusesWhatCouldNotBeAFileName) {
  const std::string cases[] = {"",
                               "sha256:",
                               hex,
                               "sha256:" + hex + "a",
                               "sha256:" + hex.substr(1),
                               "sha256:" + std::string(64, 'A'),
                               "SHA256:" + hex,
                               "sha512:" + hex + hex,
                               "sha256:../" + hex.substr(3),
                               "sha256:" + hex.substr(1) + '\0'};
  for (const std::string& text : cases) {
    auto digest = Digest::parse(text);
    ASSERT_FALSE(digest) << text;
    EXPECT_EQ(digest.error().code, Errc::invalid_argument);
  }
}

TEST(Digest, ShowsOnlyTheBeginningOfAVeryLongText) {
  EXPECT_LT(Digest::parse(std::string(1 << 20, 'x')).error().message.size(), 300U);
}

}  // namespace
}  // namespace diatom::oci
