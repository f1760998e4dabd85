#include "runtime/saved_container.h"

#include <gtest/gtest.h>

#include "support/scratch.h"

namespace diatom {
namespace {

SavedContainer example() {
  return {.info = {.name = "then",
                   .container = "abc",
                   .container_name = "web",
                   .image = "def",
                   .image_name = "busybox",
                   .created_ns = 7,
                   .vcpus = 2,
                   .memory_bytes = 512ULL << 20},
          .wanted = R"({"image":"busybox"})"};
}

TEST(SavedContainer, SurvivesTheWayToTheDisk) {
  test::ScratchDirectory scratch;
  ASSERT_TRUE(record_saved(scratch.path(), example()));
  auto read = read_saved(scratch.path());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(print_saved(*read), print_saved(example()));
  EXPECT_EQ(read->info.memory_bytes, 512ULL << 20);
}

TEST(SavedContainer, IsRefusedWhereItMakesNoSense) {
  for (const char* text : {"", "[", "[]", R"({"vcpus":-1})", R"({"spec":1})", R"({"name":[]})"})
    EXPECT_FALSE(parse_saved(text)) << text;
}

TEST(SavedContainer, AMissingOneIsAnError) {
  test::ScratchDirectory scratch;
  EXPECT_FALSE(read_saved(scratch.path() / "none"));
}

}  // namespace
}  // namespace diatom
