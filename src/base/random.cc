#include "base/random.h"

#include <sys/random.h>
#include <unistd.h>

#include <cstdlib>

namespace diatom {

std::string random_bytes(size_t count) {
  std::string bytes(count, '\0');
  // Fails only for more than 256 bytes or a broken kernel; neither may hand out what is predictable.
  if (::getentropy(bytes.data(), bytes.size()) != 0) std::abort();
  return bytes;
}

}  // namespace diatom
