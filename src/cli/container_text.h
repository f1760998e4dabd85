// What lists say of containers, in docker's words. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "diatom/container.h"

namespace diatom::cli {

// "Up 5 seconds (healthy)", "Restarting (1) 3 seconds ago", "Exited (137) 2 hours ago", "Failed (127) 1 second ago".
std::string container_status(const ContainerInfo& info, int64_t now_ns);
// What it is asked to run, quoted; the first 20 columns of it, or all.
std::string container_command(const ContainerInfo& info, bool whole);
// "127.0.0.1:8080->80/tcp, 90-91/udp": as published, then what is only exposed.
std::string container_ports(const ContainerInfo& info);
// "127.0.0.1:8080", "[::1]:8080"
std::string host_port_text(const PortMapping& port);

}  // namespace diatom::cli
