// Decides everything about a container's VM and process from what was asked for and what the image says. Pure: no file
// is touched, nothing is started.
#pragma once

#include <string>
#include <vector>

#include "diatom/images.h"
#include "diatom/spec.h"
#include "runtime/monitor.h"

namespace diatom {

struct PlanInput {
  std::string id;
  const ContainerSpec& spec;
  const ResolvedImage& image;
  vm::GuestKernel kernel;
  std::filesystem::path directory;  // containers/<id>
  std::filesystem::path upper;      // empty: no writable layer, for a read-only root
  unsigned host_cpus = 1;
};

struct Plan {
  MonitorPlan monitor;
  std::vector<std::string> warnings;
};

// Errors: invalid_argument names the field of the spec.
Result<Plan> plan_container(const PlanInput& input);

// contract.md, "Defaults and limits": the spec's entrypoint and args over the image's, then /bin/sh.
std::vector<std::string> plan_command(const ContainerSpec& spec, const ImageDefaults& image);

}  // namespace diatom
