// What `container prune` and `system prune` share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "diatom/runtime.h"

namespace diatom::cli {

// --filter: until=, label=, label!=
Result<PruneContainers> prune_containers_options(const std::vector<std::string>& filters);
// Asks. Errors: invalid_argument where there is nobody to ask.
Result<bool> may_prune(std::string_view verb, std::string_view what);
void print_pruned_containers(const Runtime::Pruned& pruned);

}  // namespace diatom::cli
