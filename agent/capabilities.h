#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace diatom::agent {

inline constexpr uint64_t all_capabilities = UINT64_MAX;  // of those that the kernel has

// Bits by number, after docker's rules: its default set, without those of `drop`, with those of `add`. Names are
// docker's: with or without CAP_, in any case, or ALL. Pure. Errors: invalid_argument names the one that is unknown.
Result<uint64_t> capability_set(const std::vector<std::string>& add, const std::vector<std::string>& drop);

}  // namespace diatom::agent
