#include "runtime/service.h"

#include <fmt/core.h>

#include "base/size.h"
#include "base/text.h"
#include "runtime/names.h"

namespace diatom {

namespace {

constexpr std::string_view service_label = "diatom.service";
constexpr std::string_view replica_label = "diatom.replica";

Result<> check_id(const ContainerId& id) {
  if (!id.service.empty() && check_container_name(id.name())) return {};
  return fail(Errc::invalid_argument, fmt::format("use service name \"{}\": not allowed", printable(id.service)),
              "letters, digits, \"_\", \".\" and \"-\", beginning with a letter or a digit");
}

Result<> check_env_name(const std::string& name) {
  if (!name.empty() && name.find('=') == std::string::npos) return {};
  return fail(Errc::invalid_argument, fmt::format("use env \"{}\": that is no name of a variable", printable(name)));
}

// Does `act`, with the image there as the policy wants it.
template <class T>
Result<T> with_image(Images& images, const ContainerRequest& request, PullOptions pull, auto act) {
  pull.policy = request.pull;
  bool first = request.pull == PullPolicy::always || request.pull == PullPolicy::newer;
  const std::string& image = request.container.image;
  if (first) TRY(images.pull(image, pull));
  // One that is there costs no look at it.
  Result<T> result = act();
  if (result || first || result.error().code != Errc::not_found || request.pull == PullPolicy::never) return result;
  auto found = images.inspect(image);
  if (found || found.error().code != Errc::not_found) return result;
  TRY(images.pull(image, pull));
  return act();
}

}  // namespace

Result<> name_replica(const ContainerId& id, ContainerSpec& container) {
  TRY(check_id(id));
  container.name = id.name();
  for (auto label : {service_label, replica_label})
    if (container.labels.contains(std::string(label)))
      return fail(Errc::invalid_argument, fmt::format("set label \"{}\": it says which replica this is", label),
                  "leave it out");
  container.labels.emplace(service_label, id.service);
  container.labels.emplace(replica_label, std::to_string(id.replica));
  return {};
}

Result<> apply_service(const ServiceSpec& spec, ContainerRequest& request) {
  ContainerSpec& container = request.container;
  request.pull = spec.pull;
  if (spec.image.empty()) return fail(Errc::invalid_argument, "make container: no image is named");
  container.image = spec.image;
  container.cpus = spec.resources.cpu;
  if (!spec.resources.memory.empty()) container.memory_bytes = TRY(parse_size("memory", spec.resources.memory));
  if (spec.resources.gpu > 1)
    return fail(Errc::unsupported, fmt::format("use gpu {}: a host has one for all VMs", spec.resources.gpu),
                "say 1, or leave gpu out");
  if (spec.resources.gpu == 1) container.gpu_window_bytes = default_gpu_window_bytes;
  for (const auto& [name, value] : spec.env) {
    TRY(check_env_name(name));
    container.env.push_back(value ? name + "=" + *value : name);
  }
  container.entrypoint = spec.entrypoint;
  container.args = spec.args;
  container.working_dir = spec.working_dir;
  container.user = spec.user;
  container.ports = spec.ports;
  container.restart = spec.restart;
  container.health = spec.health;
  container.labels = spec.labels;
  return {};
}

Result<ContainerRequest> replica_request(const ContainerId& id, const ServiceSpec& spec) {
  ContainerRequest request;
  TRY(apply_service(spec, request));
  TRY(name_replica(id, request.container));
  return request;
}

Result<CreatedContainer> create_container(Runtime& runtime, Images& images, const ContainerRequest& request,
                                          const PullOptions& pull) {
  return with_image<CreatedContainer>(images, request, pull, [&] { return runtime.create(request.container); });
}

Result<RunResult> run_container(Runtime& runtime, Images& images, const ContainerRequest& request,
                                const RunOptions& options, const PullOptions& pull) {
  return with_image<RunResult>(images, request, pull, [&] { return runtime.run(request.container, options); });
}

}  // namespace diatom
