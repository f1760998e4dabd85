// A VM of a container that runs, as it is at one moment, on the disk: its memory in a file that those which go on from
// there map privately, and the state of its devices in another (docs/warm-start.md).
#pragma once

#include "base/file.h"
#include "vm/engine.h"
#include "vm/qemu/command_line.h"
#include "vm/qemu/qmp.h"

namespace diatom::vm {

// What a VM that is to be saved is made of. Borrowed.
struct Saving {
  const QemuTarget& target;
  const MachineSpec& spec;
  pid_t pid = 0;   // of its QEMU
  UniqueFd& base;  // the file that its memory is a private mapping of; none: of no file
};
// Stops the VM, writes it to the folder, and lets it go on, whatever comes of that. Blocks.
Result<> save_machine(QmpClient& qmp, const Saving& saving, const SaveTarget& to);

struct SavedFiles {
  UniqueFd state;
  UniqueFd memory;
};
// Errors: start_failed, where they are not as they were written, or were by another QEMU, kernel or diatom.
Result<SavedFiles> open_saved_machine(const QemuTarget& target, const MachineSpec& spec);

}  // namespace diatom::vm
