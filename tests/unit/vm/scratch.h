#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <string>

#include "base/file.h"

namespace diatom {

// A test with a folder of its own, and variables that are as before when it ends.
class ScratchTest : public testing::Test {
 protected:
  ScratchTest()
      : scratch_([] {
          std::string name = testing::TempDir() + "diatom-XXXXXX";
          EXPECT_NE(::mkdtemp(name.data()), nullptr);
          return fs::path(name);
        }()) {}
  ~ScratchTest() override {
    for (const auto& [name, value] : before_)
      value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());
  }
  const fs::path& scratch() const { return scratch_.path(); }
  void set_variable(const std::string& name, const std::string& value) {
    const char* old = std::getenv(name.c_str());
    before_.try_emplace(name, old != nullptr ? std::optional<std::string>(old) : std::nullopt);
    ::setenv(name.c_str(), value.c_str(), 1);
  }

 private:
  TemporaryPath scratch_;
  std::map<std::string, std::optional<std::string>> before_;
};

}  // namespace diatom
