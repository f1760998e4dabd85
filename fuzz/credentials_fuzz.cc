// Files of credentials: what is added is found, what is removed is gone, whatever else is in the file.
#include <cstdint>
#include <cstdlib>

#include "image/registry/auth_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace diatom::image;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (!find_credentials(text, "docker.io", "library/busybox")) return 0;
  auto with = add_credentials(text, "docker.io", {"user", "pass:word", ""}, AuthFileStyle::docker);
  if (!with) std::abort();
  auto found = find_credentials(*with, "docker.io", "");
  if (!found || !found->credentials || found->credentials->password != "pass:word") std::abort();
  auto without = remove_credentials(*with, "docker.io");
  if (!without || !*without) std::abort();
  auto gone = find_credentials(**without, "docker.io", "");
  if (!gone || gone->credentials) std::abort();
  return 0;
}
