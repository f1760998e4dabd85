#include "rootfs/xattrs.h"

#include <algorithm>

#include "rootfs/little_endian.h"

namespace diatom::rootfs {

namespace {

constexpr size_t largest_value = 65535;  // Linux: XATTR_SIZE_MAX is 65536, the field has 16 bits
constexpr size_t largest_total = 65536;  // Linux: XATTR_LIST_MAX

struct Prefix {
  std::string_view text;
  uint8_t index;
  bool whole;  // the name is the prefix
};
constexpr Prefix prefixes[] = {
    {"user.", 1, false},
    {"system.posix_acl_access", 2, true},
    {"system.posix_acl_default", 3, true},
    {"trusted.", 4, false},
    {"security.", 6, false},
};

// overlayfs's own, which a layer must not forge, and labels by the policy of the machine that built the image.
bool is_unwanted(std::string_view name) { return name.starts_with("trusted.overlay.") || name == "security.selinux"; }

const Prefix* find_prefix(std::string_view name) {
  for (const Prefix& prefix : prefixes)
    if (prefix.whole ? name == prefix.text : name.starts_with(prefix.text) && name.size() > prefix.text.size())
      return &prefix;
  return nullptr;
}

}  // namespace

std::string encode_xattrs(std::vector<std::pair<std::string, std::string>> attributes) {
  std::ranges::stable_sort(attributes, {}, [](const auto& attribute) { return attribute.first; });
  std::string out;
  for (size_t i = 0; i < attributes.size(); ++i) {
    const auto& [name, value] = attributes[i];
    if (i + 1 < attributes.size() && attributes[i + 1].first == name) continue;  // the last one said wins
    const Prefix* prefix = find_prefix(name);
    if (prefix == nullptr || is_unwanted(name) || value.size() > largest_value) continue;
    std::string_view rest = std::string_view(name).substr(prefix->text.size());
    if (rest.size() > 255 || out.size() + rest.size() + value.size() > largest_total) continue;
    if (out.empty()) out.assign(12, '\0');  // name filter, number of shared attributes, reserved: all zero
    put(out, static_cast<uint8_t>(rest.size()));
    put(out, prefix->index);
    put(out, static_cast<uint16_t>(value.size()));
    out += rest;
    out += value;
    out.resize((out.size() + 3) / 4 * 4);
  }
  return out;
}

}  // namespace diatom::rootfs
