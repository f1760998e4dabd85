#include "runtime/names.h"

#include <fmt/core.h>

#include "base/random.h"

namespace diatom {

std::string make_container_id() {
  std::string id;
  for (char byte : random_bytes(32)) id += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return id;
}

Result<> check_container_name(std::string_view name) {
  auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  bool good = name.size() >= 2 && name.size() <= 255 && alphanumeric(name.front());
  for (char c : name) good = good && (alphanumeric(c) || c == '_' || c == '.' || c == '-');
  if (good) return {};
  return fail(Errc::invalid_argument, fmt::format("use container name \"{}\": not allowed", name),
              "two or more of [a-zA-Z0-9_.-], beginning with a letter or a digit");
}

std::string make_container_name(std::string_view id) {
  static constexpr std::string_view moods[] = {"amber", "bright",   "calm",   "clear",  "deep", "drifting",
                                               "fine",  "floating", "glassy", "golden", "keen", "lucid",
                                               "quiet", "silver",   "slow",   "tidal"};
  static constexpr std::string_view genera[] = {"achnanthes", "amphora",    "aulacoseira",    "chaetoceros",
                                                "cocconeis",  "cyclotella", "cymbella",       "diploneis",
                                                "epithemia",  "fragilaria", "melosira",       "navicula",
                                                "nitzschia",  "pinnularia", "stephanodiscus", "synedra"};
  auto digit = [&](size_t at) { return static_cast<size_t>(id[at] <= '9' ? id[at] - '0' : id[at] - 'a' + 10); };
  return fmt::format("{}_{}_{}", moods[digit(0)], genera[digit(1)], id.substr(2, 4));
}

}  // namespace diatom
