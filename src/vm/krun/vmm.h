// The process that becomes the VM: it configures libkrun, shuts itself in, and hands itself over.
#pragma once

#include <functional>
#include <optional>

#include "base/error.h"
#include "base/unique_fd.h"
#include "vm/krun/library.h"
#include "vm/krun/vmm_config.h"

namespace diatom::vm {

// Serves a NIC in a thread of its own until the process ends; it takes the other end of the library's stream of frames.
// Before it returns the ports are published. (net/ and vm/ do not know each other.)
using ServeNetwork = std::function<Result<>(const UserNetwork& network, UniqueFd nic)>;

// Every call that leads to the VM, in order, but the last. Returns libkrun's context.
Result<uint32_t> configure(const Krun& krun, const VmmConfig& config, const ServeNetwork& serve_network);

// Why no VM can run here, where that is so.
std::optional<Error> no_virtualisation();

// Everything, in a process that has nothing else to do: returns only when there is no VM. Errors: engine_unavailable
// where this host cannot run one, unsupported for what this libkrun has not, already_exists for a port, start_failed.
Error run_vmm(const VmmConfig& config, const ServeNetwork& serve_network);

}  // namespace diatom::vm
