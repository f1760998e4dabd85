// Extended attributes: what is encoded is what EROFS can read, says nothing that was not given, and nothing twice.
#include "rootfs/xattrs.h"

#include <cstring>
#include <map>

#include "fuzz.h"

namespace {

using Attributes = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view prefixes[] = {
    "", "user.", "system.posix_acl_access", "system.posix_acl_default", "trusted.", "trusted.overlay.", "security."};

std::string_view prefix_of(uint8_t index) {
  constexpr std::string_view by_index[] = {
      "", "user.", "system.posix_acl_access", "system.posix_acl_default", "trusted.", "", "security."};
  REQUIRE(index < std::size(by_index) && !by_index[index].empty());
  return by_index[index];
}

// As the kernel reads them (fs/erofs/xattr.c).
Attributes decode(std::string_view bytes) {
  Attributes found;
  for (size_t at = 12; at < bytes.size();) {
    REQUIRE(at + 4 <= bytes.size());
    size_t name_size = static_cast<uint8_t>(bytes[at]);
    uint16_t value_size = 0;
    std::memcpy(&value_size, bytes.data() + at + 2, sizeof value_size);
    REQUIRE(at + 4 + name_size + value_size <= bytes.size());
    std::string name(prefix_of(static_cast<uint8_t>(bytes[at + 1])));
    name += bytes.substr(at + 4, name_size);
    found.emplace_back(name, bytes.substr(at + 4 + name_size, value_size));
    at += (4 + name_size + value_size + 3) / 4 * 4;
  }
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  Attributes given;
  std::map<std::string, std::string> last;
  while (input.remaining_bytes() > 0) {
    std::string name(prefixes[input.ConsumeIntegralInRange<size_t>(0, std::size(prefixes) - 1)]);
    name += input.ConsumeRandomLengthString(300);
    std::string value = input.ConsumeRandomLengthString();
    if (input.ConsumeProbability<float>() > 0.9F) value.resize(value.size() * 257);  // near the limits
    last[name] = value;
    given.emplace_back(std::move(name), std::move(value));
  }
  std::string encoded = diatom::rootfs::encode_xattrs(given);
  REQUIRE(encoded.size() % 4 == 0 && encoded.size() < (1 << 17));
  if (encoded.empty()) return 0;
  REQUIRE(encoded.size() >= 16);
  Attributes decoded = decode(encoded);
  for (size_t i = 0; i < decoded.size(); ++i) {
    REQUIRE(last.contains(decoded[i].first) && last[decoded[i].first] == decoded[i].second);
    REQUIRE(i == 0 || decoded[i - 1].first < decoded[i].first);
    REQUIRE(!decoded[i].first.starts_with("trusted.overlay."));
  }
  REQUIRE(diatom::rootfs::encode_xattrs(decoded) == encoded);
  return 0;
}
