#include "rootfs/data_writer.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "rootfs/layer_index.h"
#include "support/scratch.h"

namespace diatom::rootfs {
namespace {

using test::bytes_of;

TEST(DataWriter, BeginsEachFileOnABlock) {
  UniqueFd fd = test::scratch_file();
  DataWriter data(fd.get());
  std::string expected(block_size, '\0');  // nobody reads a layer at its very beginning
  for (size_t size : {1UL, 4095UL, 4096UL, 4097UL, 0UL, 3'000'000UL, 5UL}) {
    EXPECT_EQ(data.next_block() * block_size, expected.size());
    std::string content = test::noise(size, static_cast<uint32_t>(size) + 1);
    ASSERT_TRUE(data.write(0, bytes_of(content)));
    ASSERT_TRUE(data.end_file(size));
    expected += content;
    expected.resize((expected.size() + block_size - 1) / block_size * block_size);
  }
  EXPECT_EQ(data.finish().value(), expected.size());
  EXPECT_TRUE(test::content_of(fd.get()) == expected);
}

TEST(DataWriter, LeavesHolesAsHoles) {
  UniqueFd fd = test::scratch_file();
  DataWriter data(fd.get());
  constexpr uint64_t size = 1ULL << 30;
  constexpr uint64_t first = first_data_block * block_size;
  ASSERT_TRUE(data.write(100, bytes_of("near")));
  ASSERT_TRUE(data.write(size / 2, bytes_of("far")));
  ASSERT_TRUE(data.end_file(size));
  ASSERT_TRUE(data.write(0, bytes_of("next")));
  ASSERT_TRUE(data.end_file(4));
  EXPECT_EQ(data.finish().value(), first + size + block_size);
  struct stat status{};
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(static_cast<uint64_t>(status.st_size), first + size + block_size);
  EXPECT_LT(status.st_blocks * 512, 4 << 20);
  char buffer[5] = {};
  ASSERT_EQ(::pread(fd.get(), buffer, 4, first + size), 4);
  EXPECT_STREQ(buffer, "next");
  ASSERT_EQ(::pread(fd.get(), buffer, 4, first + 99), 4);
  EXPECT_EQ(std::string(buffer, 4), std::string("\0nea", 4));
}

// Writes end at multiples of the buffer's size: also where the last hole did not.
TEST(DataWriter, GoesOnBehindAHoleOfAnySize) {
  for (uint64_t hole : {70'001UL, 1'048'577UL, (2UL << 20) - block_size}) {
    UniqueFd fd = test::scratch_file();
    DataWriter data(fd.get());
    std::string before = test::noise(5'000, 1);
    std::string behind = test::noise(2'500'000, 2);
    uint64_t size = before.size() + hole + behind.size();
    ASSERT_TRUE(data.write(0, bytes_of(before)));
    ASSERT_TRUE(data.write(before.size() + hole, bytes_of(behind)));
    ASSERT_TRUE(data.end_file(size));
    ASSERT_TRUE(data.finish());
    std::string expected = std::string(block_size, '\0') + before + std::string(hole, '\0') + behind;
    EXPECT_TRUE(test::content_of(fd.get()).substr(0, expected.size()) == expected) << hole;
  }
}

TEST(DataWriter, EndsWithTheHoleOfItsLastFile) {
  UniqueFd fd = test::scratch_file();
  DataWriter data(fd.get());
  ASSERT_TRUE(data.end_file(10 << 20));
  EXPECT_EQ(data.finish().value(), block_size + (10U << 20));
  EXPECT_EQ(file_size(fd.get()).value(), block_size + (10U << 20));
}

TEST(DataWriter, LeavesNothingWhereNoFileHasContents) {
  UniqueFd fd = test::scratch_file();
  DataWriter data(fd.get());
  ASSERT_TRUE(data.end_file(0));
  EXPECT_EQ(data.finish().value(), 0U);
  EXPECT_EQ(file_size(fd.get()).value(), 0U);
}

TEST(DataWriter, RefusesToGoBack) {
  UniqueFd fd = test::scratch_file();
  DataWriter data(fd.get());
  ASSERT_TRUE(data.write(10, bytes_of("abc")));
  EXPECT_EQ(data.write(12, bytes_of("x")).error().code, Errc::invalid_argument);
  EXPECT_TRUE(data.write(13, bytes_of("x")));
}

}  // namespace
}  // namespace diatom::rootfs
