#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "channel/messages.h"

namespace diatom::agent {

// Devices ("vda") by the serials that they should have.
using DiskNames = std::map<std::string, std::string, std::less<>>;

// What an engine tells the agent that its devices cannot. Where there is nothing, the channel is a virtio port, and
// disks have their serials.
struct Arguments {
  std::optional<uint32_t> vsock_port;  // "channel=vsock:1024": of the host's, where the channel is
  DiskNames disks;                     // "disk=root:vda"
  bool disks_are_files = false;        // "disks=files": behind virtio-fs
  bool without_nics = false;           // "nic=none": one that is there leads nowhere, and is nobody's
  // "prepare": for a VM that others are restored from. Whatever needs no container's configuration is done before the
  // agent waits for its first word. "network=10.0.2.15/24,10.0.2.2,10.0.2.3": so is its network, which all of them
  // have.
  bool prepare = false;
  std::optional<channel::NetworkConfig> network;
};

// Of main's argv, without the program's name. The kernel adds words of its own: what is none of these is passed over.
Arguments parse_arguments(std::span<char* const> words);

}  // namespace diatom::agent
