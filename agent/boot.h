// The way from the kernel's first process to a guest that can be talked to.
#pragma once

#include <string_view>

#include "arguments.h"
#include "base/error.h"
#include "base/unique_fd.h"

namespace diatom::agent {

// Loads the modules that the initramfs brought, and leaves the first root for a tmpfs of our own (pivot_root is not
// possible otherwise) with /dev, /proc and /sys. Returns the guest channel.
Result<UniqueFd> boot(const Arguments& arguments);

// Returns once the host has said something. Until then nothing has been said by us either: a VM that is saved while it
// waits here is restored to be spoken to for the first time, as often as one likes.
Result<> await_host(const UniqueFd& channel);

// The drivers of the network, which a container without one never needs. Once.
void load_network_modules();

// Tells of devices as they appear; to be opened before their drivers are loaded, so that none is missed. Nonblocking.
Result<UniqueFd> open_uevents();

// On the kernel's console, which ends up in the container's console.log.
void log(std::string_view line);

// Where it goes, -1: nowhere. For a new process, which moves its descriptors and loses /dev from sight.
int log_descriptor();
void use_log_descriptor(int fd);

}  // namespace diatom::agent
