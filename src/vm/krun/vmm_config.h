// What the monitor tells the process that becomes the VM: a file beside the VM's other ones, readable at night.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "vm/machine_spec.h"

namespace diatom::vm {

// Descriptors that the process inherits, by the number that they have there.
inline constexpr int krun_console_fd = 3;
inline constexpr int krun_lock_fd = 4;      // only held
inline constexpr int krun_gpu_lock_fd = 5;  // only held

// The guest's agent connects to this port of its host.
inline constexpr uint32_t krun_channel_port = 1024;

// Its exit code when it could not become a VM; its last line is the error then, as JSON. Other codes are libkrun's.
inline constexpr int krun_failed_exit = 70;

struct VmmDisk {
  std::string serial;
  std::vector<std::string> files;  // one behind the other
  std::string descriptor;          // the VMDK that joins them, where they are not one
  bool read_only = true;
  bool ephemeral = false;
};

struct VmmConfig {
  std::string library;
  std::string kernel_library;  // empty: the loader finds it
  std::string root_directory;  // shared with the guest: the agent is in it
  unsigned vcpus = 1;
  uint64_t memory_bytes = 0;
  std::vector<VmmDisk> disks;
  std::string files_directory;  // where a libkrun without disks is given their files
  std::string channel_socket;
  std::optional<UserNetwork> network;
  std::optional<HostSockets> host_sockets;
  std::optional<Gpu> gpu;
};

// Of a spec; pure. `kernel_library` may be empty.
VmmConfig make_vmm_config(const MachineSpec& spec, std::string library, std::string kernel_library);
// What the guest's first process is told. The same for every VM of a kind: nothing of a user's goes on the kernel's
// command line. (The agent knows no disk's serial with libkrun, which makes them up: it is told their names by their
// order, or that they are files.)
std::vector<std::string> agent_arguments(const VmmConfig& config, bool disks_are_files);

std::string encode_vmm_config(const VmmConfig& config);
Result<VmmConfig> decode_vmm_config(std::string_view text);

std::string encode_vmm_error(const Error& error);
// Of the last line of what the process has said; nothing when that is no error.
std::optional<Error> decode_vmm_error(std::string_view words);

}  // namespace diatom::vm
