#pragma once

#include "base/cancel.h"
#include "base/file.h"
#include "vm/machine_spec.h"
#include "vm/qemu/command_line.h"

namespace diatom::vm {

// Boots such a VM until its agent waits to be spoken to, and leaves its memory and its devices' state in `folder`,
// which is empty. Errors: start_failed with QEMU's last words, timeout, cancelled.
Result<> save_booted_vm(const fs::path& folder, const QemuTarget& target, const MachineSpec& spec,
                        const CancelToken& cancel);

// The same of a VM that goes on from the template in `base`, once spec.preparation has been done there. Its writable
// disks are new files, and stay with the rest.
Result<> save_prepared_vm(const fs::path& folder, const fs::path& base, const QemuTarget& target,
                          const MachineSpec& spec, const CancelToken& cancel);

}  // namespace diatom::vm
