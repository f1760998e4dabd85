#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/command.h"

namespace diatom::cli {

// Goes through all names. Each error is printed when it comes, and makes the verb's exit status 1; an interrupt ends
// it.
inline Result<int> for_each_name(const std::vector<std::string>& names,
                                 const std::function<Result<>(const std::string&)>& act) {
  int code = 0;
  for (const auto& name : names) {
    auto result = act(name);
    if (result) continue;
    if (result.error().code == Errc::cancelled) TRY(result);
    print_error(result.error());
    code = 1;
  }
  return code;
}

}  // namespace diatom::cli
