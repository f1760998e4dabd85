#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

namespace diatom::agent {

// What an engine tells the agent that its devices cannot. Where there is nothing, the channel is a virtio port, and disks
// have their serials.
struct Arguments {
  std::optional<uint32_t> vsock_port;        // "channel=vsock:1024": of the host's, where the channel is
  std::map<std::string, std::string> disks;  // "disk=root:vda": the device, by the serial that it should have
  // "load-network": the drivers of the network are loaded before the agent says that it is there. For a VM that others are
  // restored from.
  bool load_network = false;
};

// Of main's argv, without the program's name. The kernel adds words of its own: what is none of these is passed over.
Arguments parse_arguments(std::span<char* const> words);

}  // namespace diatom::agent
