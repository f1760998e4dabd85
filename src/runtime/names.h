#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace diatom {

std::string make_container_id();  // 64 hex digits from the kernel's random numbers
// docker's rule: [a-zA-Z0-9][a-zA-Z0-9_.-]+
Result<> check_container_name(std::string_view name);
// A name for somebody who gave none, derived from the id: "quiet_synedra_3f2a".
std::string make_container_name(std::string_view id);

}  // namespace diatom
