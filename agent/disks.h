#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace diatom::agent {

// "/dev/vda" of the virtio disk with that serial.
Result<std::string> find_disk(std::string_view serial);

}  // namespace diatom::agent
