#include "image/registry/range.h"

#include <gtest/gtest.h>

namespace diatom::image {
namespace {

TEST(RangeAnswer, IsJudgedByWhereItBegins) {
  struct Case {
    const char* what;
    uint64_t offset;
    long status;
    std::optional<std::string_view> range;
    std::optional<std::string_view> length;
    bool usable;
    uint64_t skip;
  };
  const Case cases[] = {
      // of a blob of 100 bytes
      {"the whole", 0, 200, {}, "100", true, 0},
      {"the whole, of unknown length", 0, 200, {}, {}, true, 0},
      {"the whole is shorter", 0, 200, {}, "99", false, 0},
      {"the whole is longer", 0, 200, {}, "101", false, 0},
      {"the rest", 40, 206, "bytes 40-99/100", "60", true, 0},
      {"the rest of an unknown whole", 40, 206, "bytes 40-99/*", "60", true, 0},
      {"more than the rest", 40, 206, "bytes 30-99/100", "70", true, 10},
      {"a part of the rest", 40, 206, "bytes 40-50/100", "11", true, 0},
      {"ranges are not known", 40, 200, {}, "100", true, 40},
      {"a gap", 40, 206, "bytes 41-99/100", "59", false, 0},
      {"of another whole", 40, 206, "bytes 40-99/101", "60", false, 0},
      {"beyond the end", 40, 206, "bytes 40-100/*", "61", false, 0},
      {"which part is not said", 40, 206, {}, "60", false, 0},
      {"nonsense", 40, 206, "bytes */100", "60", false, 0},
      {"nothing there", 40, 416, "bytes */40", "0", false, 0},
  };
  for (const Case& c : cases) {
    Resumption judged = judge_range_answer(c.offset, 100, c.status, c.range, c.length);
    EXPECT_EQ(judged.usable, c.usable) << c.what << ": " << judged.why;
    EXPECT_EQ(judged.skip_bytes, c.skip) << c.what;
  }
}

TEST(ContentRange, RejectsWhatIsNone) {
  for (std::string_view text : {"", "bytes", "bytes 1-", "bytes 5-4/10", "bytes 0-9/9", "bytes 0-9/", "lines 0-9/10",
                                "bytes 0-9/10 ", "bytes 0-99999999999999999999/*", "bytes -1-9/10"})
    EXPECT_FALSE(parse_content_range(text)) << text;
}

}  // namespace
}  // namespace diatom::image
