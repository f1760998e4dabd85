// Limits and settings of a container by the names that docker gives them. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace diatom::agent {

// RLIMIT_NOFILE of "nofile". Errors: invalid_argument.
Result<int> limit_number(std::string_view name);

// "/proc/sys/net/core/somaxconn" of "net.core.somaxconn", for those that are the container's own: net.*, fs.mqueue.*,
// and System V's IPC. As with sysctl(8), a slash takes the place of a dot within a part: "net.ipv4.conf.eth0/1.mtu".
// Errors: invalid_argument names it.
Result<std::string> sysctl_path(std::string_view name);

}  // namespace diatom::agent
