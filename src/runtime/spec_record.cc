#include "runtime/spec_record.h"

#include "channel/json_fields.h"
#include "runtime/spec_fields.h"

namespace diatom {

namespace {

// Each field once, for both ways.

constexpr auto port_fields = [](auto& field, auto& port) {
  field("host_address", port.host_address);
  field("host_port", port.host_port);
  field("container_port", port.container_port);
  field("protocol", port.protocol);
  field("last_host_port", port.last_host_port);
};

constexpr auto tmpfs_fields = [](auto& field, auto& mount) {
  field("path", mount.path);
  field("options", mount.options);
};

constexpr auto health_fields = [](auto& field, auto& check) {
  field("command", check.command);
  field("interval_ns", check.interval);
  field("timeout_ns", check.timeout);
  field("start_period_ns", check.start_period);
  field("retries", check.retries);
};

constexpr auto ulimit_fields = [](auto& field, auto& limit) {
  field("name", limit.name);
  field("soft", limit.soft);
  field("hard", limit.hard);
};

constexpr auto log_fields = [](auto& field, auto& limits) {
  field("max_bytes", limits.max_bytes);
  field("max_files", limits.max_files);
};

constexpr auto spec_fields = [](auto& field, auto& spec) {
  plain_spec_fields(field, spec);
  field("image", spec.image);
  field("name", spec.name);
  field("entrypoint", spec.entrypoint);
  field("args", spec.args);
  field("env", spec.env);
  field("working_dir", spec.working_dir);
  field("user", spec.user);
  field.list("tmpfs", spec.tmpfs, tmpfs_fields);
  field("labels", spec.labels);
  field("cpus", spec.cpus);
  field("memory_bytes", spec.memory_bytes);
  field("disk_bytes", spec.disk_bytes);
  field("gpu_window_bytes", spec.gpu_window_bytes);
  field("stop_timeout_s", spec.stop_timeout);
  field.object("restart", spec.restart, restart_fields);
  field.optional("health", spec.health, health_fields);
  field.object("log", spec.log, log_fields);
  field.list("ulimits", spec.ulimits, ulimit_fields);
  field("shm_bytes", spec.shm_bytes);
  field.list("ports", spec.ports, port_fields);
};

struct BoundPorts {
  std::vector<PortMapping> ports;
};
constexpr auto bound_fields = [](auto& field, auto& bound) { field.list("ports", bound.ports, port_fields); };

}  // namespace

std::string encode_spec(const ContainerSpec& spec) { return channel::encode_fields(spec, spec_fields); }

Result<ContainerSpec> decode_spec(std::string_view text) {
  return channel::decode_fields<ContainerSpec>("the container's record", text, spec_fields);
}

std::string encode_ports(const std::vector<PortMapping>& ports) {
  return channel::encode_fields(BoundPorts{ports}, bound_fields);
}

std::vector<PortMapping> decode_ports(std::string_view text) {
  auto bound = channel::decode_fields<BoundPorts>("bound ports", text, bound_fields);
  return bound ? std::move(bound->ports) : std::vector<PortMapping>();
}

}  // namespace diatom
