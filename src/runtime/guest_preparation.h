#pragma once

#include "channel/messages.h"
#include "diatom/images.h"
#include "vm/machine_spec.h"

namespace diatom {

// What a guest does for any container of that image before its VM is saved: the root is mounted, and a first process
// waits for its program. Of the container counts what none of them differs in: root and network.
vm::GuestPreparation prepare_guest(const channel::ContainerConfig& container, const ResolvedImage& image);

}  // namespace diatom
