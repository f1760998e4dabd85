// Services: containers that an orchestrator makes of one description, each a numbered replica.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diatom/error.h"
#include "diatom/export.h"
#include "diatom/images.h"
#include "diatom/runtime.h"
#include "diatom/spec.h"

namespace diatom {

// A replica of a service. Its container's name is "{service}-{replica}", and both parts are labels of the container:
// "diatom.service" and "diatom.replica".
struct ContainerId {
  std::string service;
  unsigned replica = 0;

  std::string name() const { return service + "-" + std::to_string(replica); }
};

struct ServiceResources {
  double cpu = 2;           // vCPUs; rounded up, and clamped to what a VM can have here, with a warning
  std::string memory = {};  // "512Mi", "2g", plain bytes; 512 MiB when empty; at least 128 MiB: raised, with a warning
  unsigned gpu = 0;         // 1: the host's, which one VM at a time can have (engine krun); more are refused
};

// What a service's containers are to be. What is not given comes from the image, or is contract.md's default.
struct ServiceSpec {
  std::string image;
  PullPolicy pull = PullPolicy::missing;
  ServiceResources resources;
  std::map<std::string, std::optional<std::string>> env;  // over the image's; no value takes the image's out
  std::optional<std::vector<std::string>> entrypoint;     // replaces the image's, and drops its Cmd; {} = none
  std::vector<std::string> args;                          // replaces the image's Cmd
  std::string working_dir;
  std::string user;  // "name", "uid", "name:group", "uid:gid"
  std::vector<PortMapping> ports;
  RestartPolicy restart;
  std::optional<HealthCheck> health;          // instead of the image's; an empty command: no check
  std::map<std::string, std::string> labels;  // beside those of ContainerId
};

// What create_container() is asked for.
struct ContainerRequest {
  ContainerSpec container;
  PullPolicy pull = PullPolicy::missing;
};

// What is wrong with a spec is invalid_argument or unsupported, and names the field or the text; the rest is said by
// create_container(). The request may be altered before it is used: a ContainerSpec has more fields than a service.
DIATOM_API Result<ContainerRequest> replica_request(const ContainerId& id, const ServiceSpec& spec);

// Reads a container document: JSON (docs/format/container.md), a replica of a service or a container of its own. A
// field that is not known is refused by its name.
DIATOM_API Result<ContainerRequest> parse_container_request(std::string_view json);

// Pulls the image as the request's policy says, and makes the container. Of two with one name the second is
// already_exists. Errors: those of Images::pull and Runtime::create.
DIATOM_API Result<CreatedContainer> create_container(Runtime& runtime, Images& images, const ContainerRequest& request,
                                                     const PullOptions& pull = {});
// The same, and Runtime::run().
DIATOM_API Result<RunResult> run_container(Runtime& runtime, Images& images, const ContainerRequest& request,
                                           const RunOptions& options, const PullOptions& pull = {});

}  // namespace diatom
