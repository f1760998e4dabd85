#include "read_ahead.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace diatom::agent {
namespace {

TEST(InterpreterOf, AScriptIsItsFirstLines) {
  EXPECT_EQ(interpreter_of("#!/bin/sh\necho"), "/bin/sh");
  EXPECT_EQ(interpreter_of("#! \t/usr/bin/env python3\n"), "/usr/bin/env");
  EXPECT_EQ(interpreter_of("#!/bin/sh"), "/bin/sh");
  EXPECT_EQ(interpreter_of("#!\n/bin/sh"), "");
  EXPECT_EQ(interpreter_of("#!"), "");
}

TEST(InterpreterOf, ADynamicProgramIsItsLoader) {
  std::string head = read_file("/bin/sh").value().substr(0, 64 << 10);
  EXPECT_TRUE(interpreter_of(head).starts_with("/lib")) << interpreter_of(head);
  for (size_t size : {size_t{0}, size_t{4}, size_t{16}, size_t{63}, size_t{64}, size_t{100}})
    EXPECT_EQ(interpreter_of(head.substr(0, size)), "") << size;
  EXPECT_EQ(interpreter_of("echo"), "");
}

}  // namespace
}  // namespace diatom::agent
