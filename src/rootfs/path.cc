#include "rootfs/path.h"

#include <algorithm>

#include "base/text.h"

namespace diatom::rootfs {

namespace {

constexpr size_t longest_path = 4095;  // Linux: PATH_MAX without its NUL
constexpr size_t longest_name = 255;

// What is wrong may be hostile and long: enough of it to be found.
std::unexpected<Error> refuse(std::string_view path, std::string_view why) {
  return fail(Errc::invalid_argument, "path \"" + printable(path) + "\": " + std::string(why));
}

Result<std::string> normalise(std::string_view path, std::string_view shown) {
  std::string clean;
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find('/', begin), path.size());
    std::string_view name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty() || name == ".") continue;
    if (name == "..") return refuse(shown, "\"..\" is not allowed in a layer");
    if (name.size() > longest_name) return refuse(shown, "a name is longer than 255 bytes");
    if (name.find('\0') != std::string_view::npos) return refuse(shown, "a name has a NUL byte");
    if (!clean.empty()) clean += '/';
    clean += name;
  }
  if (clean.size() > longest_path) return refuse(shown, "longer than 4095 bytes");
  return clean;
}

}  // namespace

Result<std::string> normalise_path(std::string_view path) {
  std::string clean = TRY(normalise(path, path));
  if (path.starts_with('/') && !clean.empty()) return refuse(path, "an absolute path is not allowed in a layer");
  return clean;
}

Result<std::string> normalise_link_target(std::string_view path) { return normalise(path, path); }

bool is_normalised(std::string_view path) {
  if (path.empty()) return true;
  if (path.size() > longest_path || path.find('\0') != std::string_view::npos) return false;
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find('/', begin), path.size());
    std::string_view name = path.substr(begin, end - begin);
    if (name.empty() || name == "." || name == ".." || name.size() > longest_name) return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace diatom::rootfs
