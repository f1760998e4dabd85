// What a VM is made of. Plain data; an engine turns it into a running machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace diatom::vm {

// A kernel, and the initramfs or the disk with our agent in it.
struct GuestKernel {
  std::string version;  // for people: "Debian 6.1.0-56-cloud-amd64 (6.1.192-2)", "libkrunfw"
  std::filesystem::path image;
  std::filesystem::path initramfs;
  std::filesystem::path
      agent_disk;          // instead, for a kernel that takes no initramfs: an ext4 with /init, its first root
  bool needs_acpi = true;  // virtio-mmio devices are found through ACPI rather than on the command line
  bool has_serial = true;  // has a driver for a 16550 or PL011; the console is a virtio one otherwise
};

struct DiskExtent {
  std::filesystem::path path;
  uint64_t bytes = 0;  // a multiple of 512; the whole file
};

// One virtio-blk device: its extents one behind the other. The guest finds it by `serial` (at most 20 characters).
struct Disk {
  std::string serial;
  std::vector<DiskExtent> extents;
  bool read_only = true;
  bool ephemeral = false;  // nobody reads it after this VM: the guest's flushes need not reach the disk
};

struct MachineSpec {
  std::string id;  // the container's; names the VM in process lists
  unsigned vcpus = 1;
  uint64_t memory_bytes = 0;
  GuestKernel kernel;
  std::vector<Disk> disks;
  std::filesystem::path directory;  // the VM's own: the engine may leave files there
};

}  // namespace diatom::vm
