// Ports as docker's command line and an image's config write them. Pure and total: any text gives ports or an error
// (invalid_argument) that names it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "diatom/spec.h"

namespace diatom::net {

// docker's -p: [address:][host port]:container port[/protocol], or the container port alone. Both ports may be ranges:
// of the same length, one mapping for each pair; or a range of the host's for one port, of which a free one is taken.
Result<std::vector<PortMapping>> parse_port_mapping(std::string_view text);

// docker's --expose, and the image's ExposedPorts: a port or a range, and a protocol. As mappings to free ports.
Result<std::vector<PortMapping>> parse_exposed_port(std::string_view text);

// "127.0.0.1:8080/tcp", "[::1]:8080/udp": as messages name the host's side.
std::string print_host_port(const PortMapping& mapping);
// "80/tcp"
std::string print_container_port(const PortMapping& mapping);

}  // namespace diatom::net
