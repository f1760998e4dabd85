#include "runtime/spec_json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "net/port_mapping.h"

namespace diatom {

using nlohmann::json;

namespace {

json list_or_null(const std::vector<std::string>& words) { return words.empty() ? json() : json(words); }

// What may be reached in it, whether it is published or not: "80/tcp".
json exposed_ports(const ContainerSpec& spec, const ImageDefaults& image) {
  std::set<std::string> ports;
  auto add = [&](const PortMapping& port) { ports.insert(std::to_string(port.container_port) + "/" + port.protocol); };
  std::ranges::for_each(spec.ports, add);
  for (const auto* list : {&spec.expose, &image.exposed_ports})
    for (const auto& text : *list)
      if (auto parsed = net::parse_exposed_port(text)) std::ranges::for_each(*parsed, add);
  return ports;
}

json health_check(const std::optional<HealthCheck>& check) {
  if (!check) return {};
  const std::vector<std::string>& argv = check->command;
  bool shell = argv.size() == 3 && argv[0] == "/bin/sh" && argv[1] == "-c";
  json test = {shell ? "CMD-SHELL" : "CMD"};
  for (size_t i = shell ? 2 : 0; i < argv.size(); ++i) test.push_back(argv[i]);
  return {{"Test", test},
          {"Interval", check->interval.count()},
          {"Timeout", check->timeout.count()},
          {"StartPeriod", check->start_period.count()},
          {"Retries", check->retries}};
}

// What docker's has, beside what the program came to be: where its words come from.
void add_origins(json& document, const ContainerSpec& spec, const Plan& plan, const ImageDefaults& image) {
  document["Entrypoint"] = list_or_null(spec.entrypoint ? *spec.entrypoint : image.entrypoint);
  document["Arguments"] = list_or_null(!spec.args.empty() || spec.entrypoint ? spec.args : image.cmd);
  document["ExposedPorts"] = exposed_ports(spec, image);
  document["Healthcheck"] = health_check(plan.health);
  std::string signal = !spec.stop_signal.empty() ? spec.stop_signal : image.stop_signal;
  document["StopSignal"] = signal.empty() ? "SIGTERM" : signal;
  if (const auto& network = plan.task.machine.network) document["MacAddress"] = network->mac;
  if (const auto& network = plan.task.container.network) {
    document["Gateway"] = network->gateway;
    document["IPPrefixLen"] = network->prefix;
  }
}

}  // namespace

std::string print_spec(const ContainerSpec& spec, const Plan& plan, const ImageDefaults& image) {
  const channel::ProcessConfig& process = plan.task.process;
  json tmpfs = json::object();
  for (const auto& mount : spec.tmpfs) tmpfs[mount.path] = mount.options;
  json ports = json::array();
  const vm::MachineSpec& machine = plan.task.machine;
  const auto* forwards = machine.network        ? &machine.network->forwards
                         : machine.host_sockets ? &machine.host_sockets->forwards
                                                : nullptr;
  if (forwards != nullptr)
    for (const auto& forward : *forwards)
      ports.push_back({{"HostAddress", forward.host_address},
                       {"HostPort", forward.host_port},
                       {"ContainerPort", forward.guest_port},
                       {"Protocol", forward.protocol}});
  json document = {{"Network", machine.network        ? "default"
                               : machine.host_sockets ? "tsi"
                                                      : "none"},
                   {"Ports", ports},
                   {"Image", spec.image},
                   {"Cmd", process.argv},
                   {"Env", process.env},
                   {"WorkingDir", process.cwd},
                   {"User", process.user},
                   {"Hostname", plan.task.container.hostname},
                   {"Tty", spec.tty},
                   {"OpenStdin", spec.open_stdin},
                   {"ReadonlyRootfs", spec.read_only},
                   {"Tmpfs", tmpfs},
                   {"Labels", spec.labels},
                   {"Cpus", plan.task.machine.vcpus},
                   {"Memory", plan.task.machine.memory_bytes},
                   {"AutoRemove", spec.auto_remove}};
  add_origins(document, spec, plan, image);
  // Arguments and variables need not be UTF-8; a record is for reading, not for starting again.
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string update_printed_spec(const std::string& spec_json, const ContainerSpec& spec) {
  json document = json::parse(spec_json, nullptr, false);
  if (!document.is_object()) return spec_json;
  document["Cpus"] = static_cast<unsigned>(std::ceil(spec.cpus));
  document["Memory"] = spec.memory_bytes;
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::vector<std::string> command_of(const std::string& spec_json) {
  json document = json::parse(spec_json, nullptr, false);
  std::vector<std::string> command;
  if (document.is_object() && document.contains("Cmd") && document["Cmd"].is_array())
    for (const json& word : document["Cmd"])
      if (word.is_string()) command.push_back(word.get<std::string>());
  return command;
}

}  // namespace diatom
