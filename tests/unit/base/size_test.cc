#include "base/size.h"

#include <gtest/gtest.h>

namespace diatom {
namespace {

TEST(ParseSize, ReadsDockersAndKubernetesUnits) {
  const std::pair<std::string_view, uint64_t> cases[] = {
      {"0", 0},
      {"1024", 1024},
      {"64Ki", 64 << 10},
      {"512m", 512 << 20},
      {"512Mi", 512 << 20},
      {"2Gi", 2ULL << 30},
      {"1g", 1 << 30},
      {"7b", 7},
  };
  for (auto [text, bytes] : cases) EXPECT_EQ(parse_size("memory", text).value(), bytes) << text;
}

TEST(ParseSize, RejectsWhatItCannotRepresentAndNamesTheText) {
  for (std::string_view text : {"", "x", "-1", "1Q", "0.5Gi", "12zz", " 1", "1 m", "18446744073709551615Ki"}) {
    auto size = parse_size("memory", text);
    ASSERT_FALSE(size) << text;
    EXPECT_EQ(size.error().code, Errc::invalid_argument);
    EXPECT_NE(size.error().message.find("\"" + std::string(text) + "\""), std::string::npos) << size.error().message;
  }
}

TEST(FormatSize, KeepsWholeNumbersWhole) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(512 << 20), "512 MiB");
  EXPECT_EQ(format_size(1536), "1.5 KiB");
}

}  // namespace
}  // namespace diatom
