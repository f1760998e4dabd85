#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"

namespace diatom::cli {

// Goes through all names; the first error is the verb's, after the others have had their turn.
inline Result<int> for_each_name(const std::vector<std::string>& names,
                                 const std::function<Result<>(const std::string&)>& act) {
  Result<> first;
  for (const auto& name : names)
    if (auto result = act(name); !result && first) first = result;
  TRY(first);
  return 0;
}

}  // namespace diatom::cli
