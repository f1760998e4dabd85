// Templates: VMs that have booted, with the agent waiting for its first word, saved to be started from as often as one
// likes. Memory is a file that each VM maps privately, so that all of one template share what they have not written;
// the devices' state is another. Disks were null devices of a size that none exceeds: nothing has been read from them but
// zeros, and nothing is cached of them. (docs/architecture.md, "Warm start")
#pragma once

#include <optional>
#include <string>

#include "base/cancel.h"
#include "base/file.h"
#include "vm/machine_spec.h"
#include "vm/qemu/command_line.h"

namespace diatom::vm {

// What a VM like this one is restored from: the same but for what may differ between a template and its VMs (the
// names, disks' files, ports, the MAC address).
MachineSpec template_spec(const MachineSpec& spec);

// Names all that a template depends on, in hex: the command line, and the files behind it (QEMU, kernel, initramfs) by
// size and time. Errors: one of them is not there.
Result<std::string> template_key(const QemuTarget& target, const MachineSpec& spec);

// A file of the store's that one process at a time makes, and many use.
class Template {
 public:
  // Nothing is looked at. Empty: this VM cannot have one, for it has a disk that is too large; or nobody knows which run of
  // the host's kernel this is.
  static Result<std::optional<Template>> find(const QemuTarget& target, const MachineSpec& spec);

  // The files are there, whole, and of this run of the host's; or it is known that none can be made.
  bool is_settled() const;
  // Boots the VM and saves it, unless somebody else has done so by now: whoever comes meanwhile waits. A failure is
  // remembered until the host's next start, or until the template is pruned: the VMs boot as if there were no templates.
  Result<> build(const QemuTarget& target, const MachineSpec& spec, const CancelToken& cancel) const;

  struct Opened {
    FileLock lock;  // for as long as the files are being opened: they are not pruned
    UniqueFd state;
    fs::path memory;
  };
  // Empty: there is none that can be used.
  std::optional<Opened> open() const;
  // It was opened, and QEMU did not take it: not to be tried again.
  void reject(const std::string& why) const;

 private:
  explicit Template(fs::path folder, std::string prefix) : folder_(std::move(folder)), prefix_(std::move(prefix)) {}
  fs::path lock_path() const { return folder_.string() + ".lock"; }
  fs::path failure_path() const { return folder_.string() + ".failed"; }
  bool is_whole(const UniqueFd& state) const;
  Result<> make(const QemuTarget& target, const MachineSpec& spec, const CancelToken& cancel) const;
  void remove_older() const;

  fs::path folder_;     // templates/vm-<of the host's start>-<key>
  std::string prefix_;  // of the folder's name: what has another is from before the host's start
};

}  // namespace diatom::vm
