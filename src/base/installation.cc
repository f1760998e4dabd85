#include "base/installation.h"

#include "base/platform/platform.h"

namespace diatom {

std::vector<std::filesystem::path> installed_file_candidates(std::string_view name) {
  std::vector<std::filesystem::path> candidates;
  if (auto code = platform::code_path())
    // From bin/ and lib/; from libexec/diatom/ and lib/x86_64-linux-gnu/.
    for (const char* up : {"..", "../.."}) candidates.push_back((code->parent_path() / up / name).lexically_normal());
  for (const char* prefix : {"/usr/local", "/usr"}) candidates.push_back(std::filesystem::path(prefix) / name);
  return candidates;
}

}  // namespace diatom
