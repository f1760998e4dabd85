#include "base/text.h"

#include <gtest/gtest.h>

namespace diatom {
namespace {

TEST(Printable, ShowsForeignTextAsOneHarmlessLine) {
  struct Case {
    std::string_view text;
    std::string_view shown;
  };
  for (auto [text, shown] : {Case{"busybox:latest", "busybox:latest"}, Case{"Größe 漢字 🐚", "Größe 漢字 🐚"},
                             Case{"\x1b[2J\x1b]0;owned\a", "?[2J?]0;owned?"}, Case{"a\nb\r\tc\x7f", "a b  c?"},
                             Case{"\xc2\x9b"
                                  "31m",
                                  "?31m"},
                             Case{"\xff\xc2", "??"}, Case{"\xed\xa0\x80", "???"}, Case{"\xe0\x80\x80", "???"},
                             Case{std::string_view("\0", 1), "?"}, Case{"", ""}})
    EXPECT_EQ(printable(text), shown);
}

TEST(Printable, CutsBetweenCharacters) {
  EXPECT_EQ(printable("aäb", 2), "a…");
  EXPECT_EQ(printable("aäb", 3), "aä…");
  EXPECT_EQ(printable("aäb", 4), "aäb");
  EXPECT_EQ(printable("\x80\x80\x80", 1), "…");
}

TEST(Printable, LeavesTheLinesOfAMessage) { EXPECT_EQ(printable_lines("a:\n\tb\x1b\r\n"), "a:\n\tb? \n"); }

}  // namespace
}  // namespace diatom
