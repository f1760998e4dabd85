#pragma once

#include <string>

namespace diatom {

// Where things are. What is empty comes from the environment ($DIATOM_HOME, $DIATOM_RUN, $DIATOM_MONITOR), else from
// the defaults (contract.md, "Data on disk"). A relative path counts from the working directory of the call.
struct Locations {
  std::string home = {};     // the store: images, containers
  std::string run = {};      // sockets of the containers that run; a short path, for a socket's holds 104 bytes
  std::string monitor = {};  // the program diatom-monitor; the installed one, found beside the library
};

}  // namespace diatom
