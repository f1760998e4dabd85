// The container document (docs/format/container.md): what `create --spec` and the C API make containers of.
#include <fmt/core.h>

#include <algorithm>

#include "base/size.h"
#include "base/text.h"
#include "base/time_text.h"
#include "diatom/service.h"
#include "net/port_mapping.h"
#include "runtime/json/object_reader.h"
#include "runtime/service.h"
#include "runtime/spec_fields.h"
#include "runtime/spec_text.h"

namespace diatom {

namespace {

constexpr std::string_view what = "container document";

Result<std::chrono::nanoseconds> duration(const std::string& text) {
  auto parsed = parse_duration(text);
  if (parsed && *parsed >= 0) return std::chrono::nanoseconds(*parsed);
  return fail(Errc::invalid_argument, fmt::format("parse duration \"{}\"", printable(text)), "write 30s or 1m30s");
}

Result<std::chrono::seconds> whole_seconds(const std::string& text) {
  std::chrono::nanoseconds parsed = TRY(duration(text));
  if (parsed % std::chrono::seconds(1) == std::chrono::nanoseconds(0))
    return std::chrono::duration_cast<std::chrono::seconds>(parsed);
  return fail(Errc::invalid_argument, fmt::format("parse duration \"{}\": no whole seconds", printable(text)));
}

auto size(const char* name) {
  return [name](const std::string& text) { return parse_size(name, text); };
}

void read_resources(ObjectReader& field, ServiceResources& resources) {
  field.parsed("cpu", resources.cpu, parse_cpus);
  field.parsed("memory", resources.memory, [](const std::string& text) -> Result<std::string> {
    static_cast<void>(TRY(parse_size("memory", text)));
    return text;
  });
  field("gpu", resources.gpu);
}

void read_health(ObjectReader& field, HealthCheck& check) {
  // 0 is docker's word for the default.
  auto set = [&](const char* name, std::chrono::nanoseconds& out) {
    std::chrono::nanoseconds given{0};
    field.parsed(name, given, duration);
    if (given > std::chrono::nanoseconds(0)) out = given;
  };
  field("command", check.command);
  set("interval", check.interval);
  set("timeout", check.timeout);
  set("start_period", check.start_period);
  field("retries", check.retries);
  check.retries = std::max(1U, check.retries);
}

// {"host_address": "127.0.0.1", "host_port": 8080, "container_port": 80, "protocol": "tcp"}: as the text that says so,
// which has a parser that knows what is right.
std::string port_text(ObjectReader& field) {
  std::string address, protocol = "tcp";
  uint16_t host_port = 0, container_port = 0;
  field("host_address", address);
  field("host_port", host_port);
  field("container_port", container_port);
  field("protocol", protocol);
  if (address.find(':') != std::string::npos) address = "[" + address + "]";
  return fmt::format("{}{}{}:{}/{}", address, address.empty() ? "" : ":",
                     host_port == 0 ? "" : std::to_string(host_port), container_port, protocol);
}

void read_ports(ObjectReader& field, std::vector<PortMapping>& ports) {
  field.each_value("ports", [&](const Json& value) {
    std::string text;
    if (value.is_object())
      field.nested("ports", value, [&](ObjectReader& port) { text = port_text(port); });
    else if (value.is_string())
      text = value.get<std::string>();
    else
      return field.wrong("ports", "one of them is neither a text nor an object");
    auto add = [&]() -> Result<> {
      for (PortMapping& port : TRY(net::parse_port_mapping(text))) ports.push_back(std::move(port));
      return {};
    };
    field.check("ports", add());
  });
}

void read_service(ObjectReader& field, ServiceSpec& spec) {
  field("image", spec.image);
  field.parsed("pull_policy", spec.pull, parse_pull_policy);
  field.object("resources", [&](ObjectReader& inner) { read_resources(inner, spec.resources); });
  field.members("env", [&](const std::string& name, const Json& value) -> Result<> {
    if (!value.is_null() && !value.is_string())
      return fail(Errc::invalid_argument, fmt::format("the value of \"{}\" is no text", printable(name)));
    std::optional<std::string> text;
    if (value.is_string()) text = value.get<std::string>();
    if (name.find('\0') != std::string::npos || (text && text->find('\0') != std::string::npos))
      return fail(Errc::invalid_argument, fmt::format("\"{}\" has a NUL character", printable(name)));
    spec.env.emplace(name, std::move(text));
    return {};
  });
  field("entrypoint", spec.entrypoint);
  field("args", spec.args);
  field("working_dir", spec.working_dir);
  field("user", spec.user);
  read_ports(field, spec.ports);
  field.parsed("restart", spec.restart, parse_restart_policy);
  field.object("health", [&](ObjectReader& inner) { read_health(inner, spec.health.emplace()); });
  field("labels", spec.labels);
}

void read_log(ObjectReader& field, LogLimits& log) {
  field.parsed("max_size", log.max_bytes, size("max_size"));
  field("max_files", log.max_files);
  if (log.max_files < 1 || log.max_files > 100) field.wrong("max_files", "from 1 to 100");
}

// What a container has beyond a service.
void read_container(ObjectReader& field, ContainerSpec& spec) {
  plain_spec_fields(field, spec);
  field.each("tmpfs", [&](const std::string& text) -> Result<> {
    spec.tmpfs.push_back(parse_tmpfs(text));
    return {};
  });
  field.parsed("disk_size", spec.disk_bytes, size("disk_size"));
  field.parsed("stop_timeout", spec.stop_timeout, whole_seconds);
  field.object("log", [&](ObjectReader& inner) { read_log(inner, spec.log); });
  field.each("ulimits", [&](const std::string& text) -> Result<> {
    spec.ulimits.push_back(TRY(parse_ulimit(text)));
    return {};
  });
  field.parsed("shm_size", spec.shm_bytes, size("shm_size"));
}

}  // namespace

Result<ContainerRequest> parse_container_request(std::string_view json) {
  ContainerId id;
  ServiceSpec service;
  ContainerRequest request;
  bool is_replica = false;
  TRY(read_json_object(what, json, [&](ObjectReader& field) {
    is_replica = field.is_there("service");
    field("service", id.service);
    field("replica", id.replica);
    field("name", request.container.name);
    read_service(field, service);
    read_container(field, request.container);
    if (is_replica && field.is_there("name")) field.wrong("name", "a replica's is made of service and replica");
    if (is_replica && !field.is_there("replica")) field.wrong("replica", "it is missing beside service");
    if (!is_replica && field.is_there("replica")) field.wrong("service", "it is missing beside replica");
    if (!field.is_there("image")) field.wrong("image", "it is missing");
  }));
  TRY(apply_service(service, request));
  if (is_replica) TRY(name_replica(id, request.container));
  return request;
}

}  // namespace diatom
