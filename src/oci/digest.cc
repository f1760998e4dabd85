#include "oci/digest.h"

#include <algorithm>

namespace diatom::oci {

bool is_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_sha256_hex(std::string_view text) { return text.size() == 64 && is_hex(text); }

Result<Digest> Digest::parse(std::string_view text) {
  constexpr std::string_view algorithm = "sha256:";
  if (!text.starts_with(algorithm) || text.size() != algorithm.size() + 64 || !is_hex(text.substr(algorithm.size())))
    return fail(Errc::invalid_argument, "parse digest \"" + std::string(text.substr(0, 200)) + "\"",
                "it must be sha256: and 64 hex digits");
  return from_hex(std::string(text.substr(algorithm.size())));
}

Digest Digest::from_hex(std::string hex) {
  Digest digest;
  digest.hex_ = std::move(hex);
  return digest;
}

}  // namespace diatom::oci
