#pragma once

#include <map>
#include <string>
#include <string_view>

#include "store/store.h"

namespace diatom {

// What happens to a container, in docker's words: with its name, its image and its labels.
Event container_event(std::string_view action, const store::ContainerRecord& container,
                      std::map<std::string, std::string> attributes = {});
// Records it. An event that cannot be written (a full disk) is no reason to fail: what it tells of has happened.
void record_container_event(store::Store& store, std::string_view action, const store::ContainerRecord& container,
                            std::map<std::string, std::string> attributes = {});

}  // namespace diatom
