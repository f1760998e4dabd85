#include "base/shared_library.h"

#include <gmock/gmock.h>

#include "base/platform/platform.h"

namespace diatom {
namespace {

using testing::HasSubstr;

struct Maths {
  SharedLibrary library{platform::library_file("m", 6)};
  double (*cosine)(double) = library.find("cos");
};

TEST(SharedLibraryTest, GivesFunctionsOfTheirOwnTypes) {
  Maths maths;
  ASSERT_TRUE(maths.library.usable());
  EXPECT_EQ(maths.cosine(0.0), 1.0);
}

TEST(SharedLibraryTest, SaysWhatIsNotThere) {
  SharedLibrary missing("libnobody-has-it.so.1");
  void* (*nothing)() = missing.find("x");
  EXPECT_EQ(nothing, nullptr);
  auto usable = missing.usable();
  ASSERT_FALSE(usable);
  EXPECT_EQ(usable.error().code, Errc::not_found);
  EXPECT_THAT(usable.error().message, HasSubstr("libnobody-has-it.so.1"));
}

TEST(SharedLibraryTest, IsNotUsableWithoutAllOfItsFunctions) {
  SharedLibrary library(platform::library_file("m", 6));
  void (*nothing)() = library.find("no_such_function");
  EXPECT_EQ(nothing, nullptr);
  auto usable = library.usable();
  ASSERT_FALSE(usable);
  EXPECT_THAT(usable.error().message, HasSubstr("it has no no_such_function"));
}

}  // namespace
}  // namespace diatom
