// What a VM is made of. Plain data; an engine turns it into a running machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "base/unique_fd.h"

namespace diatom::vm {

// A kernel, and the initramfs or the disk with our agent in it.
struct GuestKernel {
  std::string version;  // for people: "Debian 6.1.0-56-cloud-amd64 (6.1.192-2)", "libkrunfw"
  std::filesystem::path image;
  std::filesystem::path initramfs;
  std::filesystem::path
      agent_disk;  // instead, for a kernel that takes no initramfs: an ext4 with /init, its first root
  std::filesystem::path agent_directory;  // or a directory to be shared with the guest, with /agent
  bool needs_acpi = true;                 // virtio-mmio devices are found through ACPI rather than on the command line
  bool has_serial = true;                 // has a driver for a 16550 or PL011; the console is a virtio one otherwise
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
  uint64_t bytes = 0;      // that the guest sees: zeros follow the extents; 0: as many as those have
  // Where the file of its one extent is not there yet: makes it, anywhere. Nobody has written to that disk before.
  std::function<Result<>(const std::filesystem::path& to)> format = {};
};

// What a guest can do before anybody knows for which VM, but for that it has these disks as they are formatted: an
// engine may have it done once, and restore others from there.
struct GuestPreparation {
  std::string name;  // for people: the image's id
  std::string text;  // another for whatever is to be done differently
  // Has it done by the agent that is at the other end; blocks. Nothing is under way in the channel afterwards.
  std::function<Result<>(UniqueFd channel, const CancelToken& cancel)> run;
};

// Of a port of the host's, to the guest's address.
struct PortForward {
  std::string protocol;  // "tcp", "udp"
  std::string host_address;
  uint16_t host_port = 0;
  uint16_t guest_port = 0;
};

// One NIC, alone on an IPv4 network behind the VMM process: what the guest sends out leaves the host from sockets of
// that process, without privileges; names are asked at `resolver`, which passes them on to the host's. Connections to
// other addresses of the network reach the *host's loopback*: the agent has to keep the container from it.
struct UserNetwork {
  std::string mac;  // "02:…": locally administered
  std::string network = "10.0.2.0";
  uint8_t prefix = 24;
  std::string gateway = "10.0.2.2";
  std::string resolver = "10.0.2.3";
  std::string guest_address = "10.0.2.15";
  std::vector<PortForward> forwards;
};

// No NIC: the guest's sockets are sockets of the VMM process (libkrun's TSI), in its network.
struct HostSockets {
  std::vector<PortForward> forwards;
};

struct Gpu {
  uint64_t window_bytes = 0;  // of the guest's address space, through which it sees the GPU's memory
};

struct MachineSpec {
  std::string id;  // the container's; names the VM in process lists
  unsigned vcpus = 1;
  uint64_t memory_bytes = 0;
  GuestKernel kernel;
  std::vector<Disk> disks;
  std::optional<UserNetwork> network;  // none: no NIC
  std::optional<HostSockets> host_sockets;
  std::optional<Gpu> gpu;
  std::filesystem::path directory;  // the VM's own: the engine may leave files there
  // Where an engine may keep VMs that have booted, to start others from; empty: this one boots for itself.
  std::filesystem::path templates;
  std::optional<GuestPreparation> preparation;  // what those may have done, too
  // What Machine::saving() has filled: the VM goes on from there, or fails. Its disks are copies of those of the saved
  // one. Empty: it boots, or is restored from a template.
  std::filesystem::path saved;
  // Where an engine may have a socket for its guest to reach: of a length that a socket's address can have.
  std::filesystem::path channel_socket;
  // A descriptor that the VM's process inherits, so that the lock which came with it is held for as long as the VM
  // lives: its owner may be killed a little earlier. -1: none.
  int held_lock = -1;
  int gpu_lock = -1;  // likewise
};

}  // namespace diatom::vm
