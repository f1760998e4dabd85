// Integers as EROFS and our own index store them: little-endian. (Every system that diatom runs on is, too.)
#pragma once

#include <bit>
#include <concepts>
#include <cstring>
#include <string>
#include <string_view>

namespace diatom::rootfs {

static_assert(std::endian::native == std::endian::little);

template <std::integral Integer>
void put(std::string& out, Integer value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Reads fields from the front; once something is missing, everything further is zero or empty and ok() is false.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : bytes_(bytes) {}

  template <std::integral Integer>
  Integer get() {
    Integer value = 0;
    std::string_view field = get_bytes(sizeof value);
    if (ok_) std::memcpy(&value, field.data(), sizeof value);
    return value;
  }
  std::string_view get_bytes(size_t size) {
    ok_ = ok_ && size <= bytes_.size();
    if (!ok_) return {};
    std::string_view field = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return field;
  }
  bool ok() const { return ok_; }
  bool at_end() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace diatom::rootfs
