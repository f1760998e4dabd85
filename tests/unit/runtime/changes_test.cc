#include "runtime/changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/scratch.h"

namespace diatom {
namespace {

TEST(Changes, AreReadAsTheGuestSaysThem) {
  using enum FileChange::Kind;
  constexpr std::string_view text("A/new\0C/etc\0D/line\nend\0", 23);
  auto changes = decode_changes(text);
  ASSERT_TRUE(changes) << test::error_of(changes);
  ASSERT_EQ(changes->size(), 3U);
  EXPECT_EQ((*changes)[0].kind, added);
  EXPECT_EQ((*changes)[1].kind, changed);
  EXPECT_EQ((*changes)[2].kind, deleted);
  EXPECT_EQ((*changes)[2].path, "/line\nend");
  EXPECT_TRUE(decode_changes("")->empty());
}

TEST(Changes, ThatMakeNoSenseAreTheGuestsFault) {
  for (std::string_view text : {std::string_view("A/cut"), std::string_view("X/odd\0", 6), std::string_view("A\0", 2),
                                std::string_view("Arelative\0", 10), std::string_view("\0", 1)}) {
    auto changes = decode_changes(text);
    ASSERT_FALSE(changes) << text;
    EXPECT_EQ(changes.error().code, Errc::guest);
  }
}

}  // namespace
}  // namespace diatom
