// Files for unit tests: a folder that goes with the test, and nameless files.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "base/file.h"

namespace diatom::test {

class ScratchDirectory {
 public:
  ScratchDirectory() : path_(make()) {}
  const fs::path& path() const { return path_.path(); }
  fs::path operator/(std::string_view name) const { return path() / name; }

 private:
  static fs::path make() {
    std::string name = (fs::temp_directory_path() / "diatom-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    return name;
  }
  TemporaryPath path_;
};

// Open for reading and writing; nobody else can find it.
inline UniqueFd scratch_file(std::string_view content = {}) {
  std::string name = (fs::temp_directory_path() / "diatom-test-XXXXXX").string();
  UniqueFd fd(::mkstemp(name.data()));
  if (!fd || ::unlink(name.c_str()) < 0 || !write_all(fd.get(), content)) std::abort();
  return fd;
}

inline std::string content_of(int fd) {
  std::string bytes(file_size(fd).value(), '\0');
  EXPECT_TRUE(pread_all(fd, std::as_writable_bytes(std::span(bytes)), 0));
  return bytes;
}

inline std::string error_of(const auto& result) { return result ? "no error" : result.error().message; }

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

// Text that does not compress to nothing and in which no two places are alike; the same in every run.
inline std::string noise(size_t size, uint32_t seed = 1) {
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
  return out;
}

}  // namespace diatom::test
