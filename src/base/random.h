#pragma once

#include <cstddef>
#include <string>

namespace diatom {

// From the kernel's random numbers; 256 at most.
std::string random_bytes(size_t count);

}  // namespace diatom
