// Templates: VMs that have booted, with the agent waiting for its first word, saved to be started from as often as one
// likes. Memory is a file that each VM maps privately, so that all of one template share what they have not written;
// the devices' state is another. Nothing was known of any disk by then; or, of those that were restored from one and
// saved again (prepared), the root of an image is mounted, and what they have written to disks is kept with them.
// (docs/warm-start.md)
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/file.h"
#include "vm/disks.h"
#include "vm/machine_spec.h"
#include "vm/qemu/command_line.h"

namespace diatom::vm {

// What a VM like this one is restored from: the same but for what may differ between a template and its VMs (the
// names, disks' files, ports, the MAC address).
MachineSpec template_spec(const MachineSpec& spec);

// Names all that a template depends on, in hex: the command line, and the files behind it (QEMU, kernel, initramfs) by
// size and time. Errors: one of them is not there. What was saved of a VM that ran depends on the same, as `copied`.
Result<std::string> template_key(const QemuTarget& target, const MachineSpec& spec,
                                 QemuTemplate use = QemuTemplate::saved);

// Likewise for one whose guest has done what MachineSpec::preparation asks for, with these very disks.
Result<std::string> prepared_key(const QemuTarget& target, const MachineSpec& spec);

// A folder of the store's that one process at a time makes, and many use.
class Template {
 public:
  // What such a VM may be restored from, best first. A prepared one is made from the one behind it, and is only for a
  // VM whose disks are new. Nothing is looked at. Empty: nobody knows which run of the host's kernel this is.
  static Result<std::vector<Template>> find(const QemuTarget& target, const MachineSpec& spec);

  bool is_whole() const;  // the files are there, and of this run of the host's
  bool is_settled() const { return is_whole() || has_failed(); }
  bool has_failed() const;  // it is not there, and could not be made a moment ago
  // Boots the VM and saves it, unless somebody else has done so by now: whoever comes meanwhile waits. A failure is
  // remembered for a while, which doubles with each: the VMs boot as if there were no templates.
  Result<> build(const QemuTarget& target, const MachineSpec& spec, const CancelToken& cancel) const;

  struct Opened {
    UniqueFd state;
    UniqueFd memory;
    MakeDisk make_disk;  // a copy of what it has written to its own
    QemuTemplate use;
  };
  // Empty: there is none that can be used.
  std::optional<Opened> open() const;
  // It was opened, and QEMU did not take it: it is made anew, but not at once.
  void reject(const std::string& why) const;

 private:
  Template(fs::path folder, size_t kin, fs::path base = {})
      : folder_(std::move(folder)), kin_(kin), base_(std::move(base)) {}
  Result<> make(const QemuTarget& target, const MachineSpec& spec, const CancelToken& cancel) const;
  void make_room() const;

  fs::path folder_;  // templates/vm-<of the host's start>-<of what it is asked for>-<key>
  size_t kin_;       // how much of its name those have that it takes the place of
  fs::path base_;    // the folder of what it is made from; empty: it boots
};

}  // namespace diatom::vm
