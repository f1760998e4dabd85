// The host's side of published ports: whether they can be had, and which ones are taken where nobody asked for any.
#pragma once

#include <vector>

#include "base/error.h"
#include "diatom/spec.h"

namespace diatom::net {

// The mappings with address and port decided, all different. Each has been bound a moment ago, so a port that somebody
// has is an error here, before anything is started: already_exists, with address and port; invalid_argument where this
// host has no such address; unsupported for IPv6, which QEMU's user-mode network does not publish on.
// Exact repetitions count once.
Result<std::vector<PortMapping>> choose_host_ports(const std::vector<PortMapping>& wanted);

// Why a port could not be bound, of errno: the errors above, for who binds it later.
std::unexpected<Error> publish_failed(const PortMapping& mapping, int error_number);

}  // namespace diatom::net
