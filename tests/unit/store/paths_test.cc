#include "store/paths.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <map>
#include <optional>
#include <string>

#include "support/scratch.h"

namespace diatom::store {
namespace {

using Variables = std::map<std::string, std::string>;

// The environment of one test; what was there comes back.
class Environment {
 public:
  explicit Environment(const Variables& wanted = {}) {
    for (const char* name : {"HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "DIATOM_HOME", "DIATOM_RUN"}) {
      const char* value = ::getenv(name);
      before_[name] = value != nullptr ? std::optional<std::string>(value) : std::nullopt;
      ::unsetenv(name);
    }
    for (const auto& [name, value] : wanted) ::setenv(name.c_str(), value.c_str(), 1);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() {
    for (const auto& [name, value] : before_)
      value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());
  }

 private:
  std::map<std::string, std::optional<std::string>> before_;
};

TEST(Paths, AreThoseOfTheEnvironment) {
  Environment environment(Variables{{"DIATOM_HOME", "/a/home"}, {"DIATOM_RUN", "/a/run"}});
  auto paths = find_paths();
  ASSERT_TRUE(paths) << test::error_of(paths);
  EXPECT_EQ(paths->home, "/a/home");
  EXPECT_EQ(paths->run, "/a/run");
}

TEST(Paths, AreNeverBelowTmpForWantOfAHome) {
  Environment environment;
  auto paths = find_paths();
  if (!paths) return;  // a user without a home is told so
  EXPECT_FALSE(paths->home.string().starts_with("/tmp/.local")) << paths->home;
}

TEST(Paths, OfAWorkingDirectoryThatHasGoneAreAnError) {
  Environment environment(Variables{{"DIATOM_HOME", "relative"}});
  UniqueFd before = std::move(*open_file(".", O_RDONLY | O_DIRECTORY));
  {
    test::ScratchDirectory scratch;
    ASSERT_EQ(::chdir(scratch.path().c_str()), 0);
  }
  auto paths = find_paths();
  ASSERT_EQ(::fchdir(before.get()), 0);
  ASSERT_FALSE(paths);
  EXPECT_NE(paths.error().message.find("relative"), std::string::npos) << paths.error().message;
}

}  // namespace
}  // namespace diatom::store
