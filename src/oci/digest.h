#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "base/error.h"

namespace diatom::oci {

// The address of content (image-spec descriptor.md, "Digests"). Only sha256, the algorithm that everybody writes.
class Digest {
 public:
  Digest() = default;
  // "sha256:" and 64 lower-case hex digits; anything else is invalid_argument and names the text. What has been parsed
  // is safe as a file name.
  static Result<Digest> parse(std::string_view text);
  static Digest from_hex(std::string hex);  // of a hash that we computed

  const std::string& hex() const { return hex_; }
  std::string text() const { return "sha256:" + hex_; }
  bool empty() const { return hex_.empty(); }
  auto operator<=>(const Digest&) const = default;

 private:
  std::string hex_;
};

bool is_hex(std::string_view text);
// 64 hex digits: what blobs, layers, images and containers are called on disk.
bool is_sha256_hex(std::string_view text);  // lower case

}  // namespace diatom::oci
