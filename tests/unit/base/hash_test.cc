#include "base/hash.h"

#include <gtest/gtest.h>

#include "support/scratch.h"

namespace diatom {
namespace {

// FIPS 180-4's examples, from NIST's cryptographic standards page.
TEST(Sha256, AgreesWithTheStandard) {
  const std::pair<std::string, std::string_view> cases[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1'000'000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (const auto& [text, hex] : cases) EXPECT_EQ(sha256_hex(text), hex) << text.size();
}

TEST(Sha256, DoesNotCareHowTheBytesAreCut) {
  std::string text = test::noise(10'000);
  for (size_t piece : std::initializer_list<size_t>{1, 63, 64, 65, 4096}) {
    Sha256 hash;
    for (size_t at = 0; at < text.size(); at += piece)
      hash.update(test::bytes_of(std::string_view(text).substr(at, piece)));
    EXPECT_EQ(hash.finish_hex(), sha256_hex(text)) << piece;
  }
}

}  // namespace
}  // namespace diatom
