#include "runtime/console_log.h"

#include <gtest/gtest.h>

#include "support/scratch.h"

namespace diatom {
namespace {

using test::bytes_of;
using test::ScratchDirectory;

std::string tail_of(std::string_view text, size_t count) {
  ScratchDirectory scratch;
  auto log = ConsoleLog::create(scratch / "log");
  log->append(bytes_of(text));
  return log->tail(count);
}

TEST(ConsoleLog, TellsItsLastLines) {
  EXPECT_EQ(tail_of("", 3), "");
  EXPECT_EQ(tail_of("one", 3), "one");
  EXPECT_EQ(tail_of("one\r\ntwo\r\nthree\r\n", 2), "two\nthree");
  EXPECT_EQ(tail_of("one\ntwo\nthree\n\n\n", 1), "three");
  EXPECT_EQ(tail_of("one\ntwo\n", 2), "one\ntwo");
  EXPECT_EQ(tail_of("\none", 1), "one");
  EXPECT_EQ(tail_of("one\ntwo", 0), "");
}

TEST(ConsoleLog, TellsAPanicWhereverTheLastWordsHaveIt) {
  EXPECT_EQ(tail_of("boot\nKernel panic - not syncing: why\nCall trace:\n a\n b\n", 2),
            "Kernel panic - not syncing: why");
}

TEST(ConsoleLog, GivesNothingToATerminalThatCouldHurtIt) {
  EXPECT_EQ(tail_of("a\x1b[31mb\x07\x00\xff\tc\x7f", 5), "a[31mb");
  EXPECT_EQ(tail_of(std::string_view("a\0b", 3), 5), "ab");
}

TEST(ConsoleLog, KeepsTheBeginningAndTheEndOfAnEndlessOne) {
  ScratchDirectory scratch;
  auto log = ConsoleLog::create(scratch / "log");
  constexpr size_t half = ConsoleLog::half_bytes;
  std::string first = test::noise(half, 1);
  log->append(bytes_of(first));
  for (uint32_t i = 0; i < 20; ++i) log->append(bytes_of(test::noise(100'003, i + 2)));
  log->append(bytes_of("\nthe end\n"));
  EXPECT_EQ(log->tail(1), "the end");
  std::string file = read_file(scratch / "log").value();
  EXPECT_EQ(file.size(), 2 * half);
  EXPECT_TRUE(file.starts_with(first));
  EXPECT_NE(file.find("the end\n", half), std::string::npos);
}

}  // namespace
}  // namespace diatom
