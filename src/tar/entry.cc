#include "tar/entry.h"

#include <algorithm>

namespace diatom::tar {

namespace {
constexpr size_t longest_name = 255;
}

std::optional<std::vector<std::string>> split_path(const std::string& path) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin < path.size();) {
    size_t end = std::min(path.find('/', begin), path.size());
    std::string name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty() || name == ".") continue;
    if (name == ".." || name.size() > longest_name || name.find('\0') != std::string::npos) return std::nullopt;
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace diatom::tar
