// What the targets share. A property that does not hold is a crash, as libFuzzer wants it.
#pragma once

#include <fuzzer/FuzzedDataProvider.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"

#define REQUIRE(property)                                                         \
  do {                                                                            \
    if (!(property)) {                                                            \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #property); \
      std::abort();                                                               \
    }                                                                             \
  } while (false)

namespace diatom::fuzz {

inline std::string_view as_text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A refusal has words for people, and a kind that says it is the input's fault.
inline void require_refusal(const Error& error, Errc code = Errc::invalid_argument) {
  REQUIRE(!error.message.empty());
  REQUIRE(error.code == code);
}

inline UniqueFd memory_file() {
  UniqueFd fd(::memfd_create("fuzz", MFD_CLOEXEC));
  REQUIRE(fd);
  return fd;
}

inline std::string content_of(int fd) {
  std::string bytes(file_size(fd).value(), '\0');
  REQUIRE(pread_all(fd, std::as_writable_bytes(std::span(bytes)), 0));
  return bytes;
}

}  // namespace diatom::fuzz
