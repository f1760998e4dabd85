// The stages of a container's run, in its record.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "diatom/container.h"

namespace diatom {

std::string encode_stages(const std::vector<StageTime>& stages);
std::vector<StageTime> decode_stages(std::string_view text);  // what is damaged has none

}  // namespace diatom
