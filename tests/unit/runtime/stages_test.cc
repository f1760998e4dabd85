#include "runtime/stages.h"

#include <gtest/gtest.h>

namespace diatom {
namespace {

TEST(Stages, AreReadAsTheyWereWritten) {
  auto read = decode_stages(encode_stages({{"begin", 1'790'000'000'000'000'000}, {"vmm", 1'790'000'000'100'000'000}}));
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read[0].name, "begin");
  EXPECT_EQ(read[1].time_ns, 1'790'000'000'100'000'000);
}

TEST(Stages, AreNoneInWhatIsDamagedOrOlder) {
  for (const char* text : {"", "{}", "[]", R"({"stages": 1})", R"({"stages": [{"name": 1}]})"})
    EXPECT_TRUE(decode_stages(text).empty()) << text;
}

}  // namespace
}  // namespace diatom
