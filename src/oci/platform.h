// Which image of several is for which machine (image-spec image-index.md, "platform").
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace diatom::oci {

struct Platform {
  std::string os;            // GOOS
  std::string architecture;  // GOARCH
  std::string variant;       // "v7"; mostly empty
};

// "linux/arm64", "linux/arm/v7", "arm64" and the machine's own words ("x86_64", "aarch64"). Errors: invalid_argument
// names the text.
Result<Platform> parse_platform(std::string_view text);
std::string print_platform(const Platform& platform);  // "linux/arm/v7"

// How well an image for `offered` serves a machine of `wanted`: 0 not at all, higher is better. A field that the image
// leaves empty fits everything; an older variant of arm fits a newer machine, as containerd has it.
int platform_fit(const Platform& wanted, const Platform& offered);

// The place of the best one; of equals the first. Empty when none fits.
std::optional<size_t> best_platform(const Platform& wanted, std::span<const Platform> offered);

}  // namespace diatom::oci
