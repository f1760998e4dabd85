// The options of a container's network, for every verb that makes one.
#pragma once

#include <string>
#include <vector>

#include "diatom/error.h"
#include "diatom/spec.h"

namespace CLI {
class App;
}

namespace diatom::cli {

struct NetworkFlags {
  std::vector<std::string> publish;
};
// What needs no parsing goes into the spec at once; both must live as long as the verb.
void add_network_flags(CLI::App& verb, ContainerSpec& spec, NetworkFlags& flags);
Result<> finish_network_flags(const NetworkFlags& flags, ContainerSpec& spec);

}  // namespace diatom::cli
