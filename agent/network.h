// The container's network: its interface, its way out, and what it may not reach.
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "base/unique_fd.h"
#include "channel/messages.h"

namespace diatom::agent {

// For a VM that others are restored from: sets up all but the MAC address.
void prepare_network(const channel::NetworkConfig& config);

// Where it is up.
Result<> change_mac(const channel::NetworkConfig& config);

// Sets the network up in a process of its own, beside whatever else is to be done: loading the driver takes a while.
// Where it was prepared, there is little left to do.
class NetworkSetup {
 public:
  // Nothing is done, and finish() is a success, without a configuration.
  explicit NetworkSetup(const std::optional<channel::NetworkConfig>& config);
  NetworkSetup(const NetworkSetup&) = delete;
  NetworkSetup& operator=(const NetworkSetup&) = delete;
  NetworkSetup(NetworkSetup&&) = delete;
  NetworkSetup& operator=(NetworkSetup&&) = delete;
  ~NetworkSetup();

  // Waits for it. Errors: timeout when the VM has no such interface, some seconds later.
  Result<> finish();

 private:
  pid_t pid_ = -1;
  Result<> prepared_;
  UniqueFd failure_;  // what went wrong, in words; empty when nothing did
};

// The user-mode network hands connections to its own addresses over to the host's loopback. Processes of the cgroup
// reach none of them, but the resolver to ask names; they answer who came from outside. (What they send themselves,
// past the kernel's IP, is forbid_packet_sockets()'s.) Errors: the kernel has no BPF for cgroups, or no seccomp.
Result<> close_host_network(int cgroup_fd, const channel::NetworkConfig& config);

}  // namespace diatom::agent
