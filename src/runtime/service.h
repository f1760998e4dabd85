#pragma once

#include "base/error.h"
#include "diatom/service.h"

namespace diatom {

// Gives the container its name and its labels.
Result<> name_replica(const ContainerId& id, ContainerSpec& container);
// What a service says; the other fields stay as they are.
Result<> apply_service(const ServiceSpec& spec, ContainerRequest& request);

}  // namespace diatom
