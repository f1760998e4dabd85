// Decides everything about a container's VM and process from what was asked for and what the image says. Pure: no file
// is touched, nothing is started.
#pragma once

#include <string>
#include <vector>

#include "diatom/images.h"
#include "diatom/runtime.h"
#include "diatom/spec.h"
#include "runtime/task.h"

namespace diatom {

struct PlanInput {
  std::string id;
  const ContainerSpec& spec;
  const ResolvedImage& image;
  vm::GuestKernel kernel;
  std::filesystem::path directory;            // containers/<id>
  std::filesystem::path templates = {};       // store::Paths::templates(); empty: its VM boots for itself
  std::filesystem::path channel_socket = {};  // store::Paths::agent_socket()
  std::filesystem::path upper;                // empty: no writable layer, for a read-only root
  std::function<Result<>(const std::filesystem::path&)> format_upper = {};  // where it is not there yet
  unsigned max_vcpus = 1;                                                   // that a VM can have here
  std::vector<PortMapping> ports = {};  // with the host's side decided (net::choose_host_ports)
  std::string host_resolv_conf = {};    // the host's /etc/resolv.conf
};

struct Plan {
  TaskPlan task;
  std::optional<HealthCheck> health;  // none to be run when empty
  int stop_signal = 15;
  std::vector<std::string> warnings;
};

// Errors: invalid_argument names the field of the spec.
Result<Plan> plan_container(const PlanInput& input);

// What an exec leaves open is as it is for the container's first process.
void complete_exec(channel::ProcessConfig& exec, const channel::ProcessConfig& first);

// Errors: invalid_argument names the value.
Result<> check_update(const UpdateOptions& update);
void apply_update(ContainerSpec& spec, const UpdateOptions& update);
UpdateOptions spec_limits(const ContainerSpec& spec);      // all that a spec limits
channel::Limits plan_limits(const UpdateOptions& update);  // of what runs
// The ports that are to be published: those of the spec, and with publish_all what image and spec expose besides.
// Errors: invalid_argument names what the spec exposes and is no port; what the image does is passed over.
Result<std::vector<PortMapping>> plan_ports(const ContainerSpec& spec, const ImageDefaults& image);

// docker's order: PATH and HOSTNAME by default, the image's, the spec's. HOME is the agent's: it knows the passwd.
std::vector<std::string> plan_env(const ContainerSpec& spec, const ImageDefaults& image, const std::string& hostname);

// contract.md, "Defaults and limits": the spec's entrypoint and args over the image's, then /bin/sh.
std::vector<std::string> plan_command(const ContainerSpec& spec, const ImageDefaults& image);

}  // namespace diatom
