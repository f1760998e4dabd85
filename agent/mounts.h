#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/unique_fd.h"
#include "channel/messages.h"

namespace diatom::agent {

// mount(2) with an error that names the target. `data` may be null.
Result<> mount_at(const char* source, const std::string& target, const char* type, unsigned long flags,
                  const char* data);

// For a VM that others with the same disks are restored from: all of the next one that needs no container.
Result<> prepare_container_root(const channel::ContainerConfig& config);
// In the agent's own root: joins the image and the writable layer at /container, and makes the cgroup.
Result<> mount_container_root(const channel::ContainerConfig& config);
// Writes everything out; afterwards the disks may be taken away.
Result<> unmount_container_root();
// The same for a root that something still uses: all is written out, and then no more.
void abandon_container_root();

// What the container sees as /etc/hostname and /etc/hosts: where they still say `from`, they say `to`.
Result<> rename_in_etc_files(const std::string& from, const std::string& to);
// A file of the agent's with that content, to be mounted in the container by move_mount(2). Empty where it is there
// already: it has got another content, and that is all there is to do.
Result<UniqueFd> make_boot_id_file(std::string_view content);

// In the first process's own mount namespace: makes /container the root and mounts what Linux programs expect.
Result<> enter_container_root(const channel::ContainerConfig& config);

}  // namespace diatom::agent
