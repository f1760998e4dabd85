#pragma once

#include <string_view>

#include "base/error.h"

namespace diatom {

// Linux's number of "KILL", "SIGKILL", "sigkill", "9", "RTMIN+3"; on any host, for the guest is Linux. Anything else is
// invalid_argument.
Result<int> parse_signal(std::string_view text);

}  // namespace diatom
