#include "runtime/console_log.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

namespace diatom {
namespace {

struct Log {
  UniqueFd file{::memfd_create("console", MFD_CLOEXEC)};
  ConsoleLog log = ConsoleLog::create("/proc/self/fd/" + std::to_string(file.get())).value();
  void append(std::string_view text) { log.append(std::as_bytes(std::span(text))); }
};

TEST(ConsoleLog, TailsTheLastLines) {
  struct Case {
    std::string_view printed;
    size_t count;
    std::string_view tail;
  };
  const Case cases[] = {
      {"", 3, ""},         {"a\nb\nc\nd\n", 2, "c\nd"},
      {"a\nb", 5, "a\nb"}, {"a\r\nb\x1b[1m!\x7f\xff\n\n\n", 1, "b[1m!"},
      {"a\nb", 0, ""},     {"\na", 1, "a"},  // found by fuzzing: an empty first line came along
      {"\na", 2, "\na"},
  };
  for (auto [printed, count, tail] : cases) {
    Log console;
    console.append(printed);
    EXPECT_EQ(console.log.tail(count), tail) << printed;
  }
}

TEST(ConsoleLog, ThePanicIsTheTailWhateverFollowsIt) {
  Log console;
  console.append("booting\nKernel panic - not syncing: no init\nCPU: 0\nCall trace:\n");
  EXPECT_EQ(console.log.tail(1), "Kernel panic - not syncing: no init");
}

TEST(ConsoleLog, KeepsTheBeginningAndTheEndWithinItsBound) {
  Log console;
  console.append("first words\n");
  const std::string block(100'000, 'x');
  for (int i = 0; i < 30; ++i) console.append(block);
  console.append("\nlast words\n");
  EXPECT_EQ(file_size(console.file.get()).value(), 2 * ConsoleLog::half_bytes);
  std::string kept(2 * ConsoleLog::half_bytes, '\0');
  ASSERT_TRUE(pread_all(console.file.get(), std::as_writable_bytes(std::span(kept)), 0));
  EXPECT_TRUE(kept.starts_with("first words\n"));
  EXPECT_NE(kept.find("last words\n"), std::string::npos);
  EXPECT_EQ(console.log.tail(1), "last words");
}

}  // namespace
}  // namespace diatom
