#include "cli/table.h"
#include "base/text.h"

#include <gtest/gtest.h>

#include "cli/text.h"

namespace diatom::cli {
namespace {

TEST(Table, AlignsColumnsThreeSpacesApart) {
  Table table;
  table.add_row({"REPOSITORY", "TAG", "SIZE"});
  table.add_row({"a", "latest", "4.27MB"});
  table.add_line("localhost:5000/name\t1\t");
  EXPECT_EQ(table.text(),
            "REPOSITORY            TAG      SIZE\n"
            "a                     latest   4.27MB\n"
            "localhost:5000/name   1        \n");
}

TEST(Table, TheLastCellWidensNothing) {
  Table table;
  table.add_line("a\tb\tc");
  table.add_line("a very long line alone");
  EXPECT_EQ(table.text(), "a   b   c\na very long line alone\n");
}

TEST(Table, CountsColumnsNotBytes) {
  Table table;
  table.add_row({"Größe", "x"});
  table.add_row({"日本", "x"});
  table.add_row({"e\u0301", "x"});
  EXPECT_EQ(table.text(), "Größe   x\n日本    x\ne\u0301       x\n");
}

TEST(Text, WhatIsTooLongEndsInAnEllipsis) {
  EXPECT_EQ(ellipsis("abc", 3), "abc");
  EXPECT_EQ(ellipsis("abcd", 3), "ab…");
  EXPECT_EQ(ellipsis("日本語", 4), "日…");
  EXPECT_EQ(ellipsis("abc", 0), "");
}

}  // namespace
}  // namespace diatom::cli
