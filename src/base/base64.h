#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace diatom {

// RFC 4648, with padding.
std::string base64_encode(std::string_view bytes);
// Empty for what is no base64. Missing padding is forgiven: people write such files by hand.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace diatom
