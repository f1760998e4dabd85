#include "runtime/spec_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace diatom {

using nlohmann::json;

std::string print_spec(const ContainerSpec& spec, const Plan& plan) {
  const channel::ProcessConfig& process = plan.monitor.process;
  json tmpfs = json::object();
  for (const auto& mount : spec.tmpfs) tmpfs[mount.path] = mount.options;
  json ports = json::array();
  const auto& network = plan.monitor.machine.network;
  if (network)
    for (const auto& forward : network->forwards)
      ports.push_back({{"HostAddress", forward.host_address},
                       {"HostPort", forward.host_port},
                       {"ContainerPort", forward.guest_port},
                       {"Protocol", forward.protocol}});
  json document = {{"Network", network ? "default" : "none"},
                   {"Ports", ports},
                   {"Image", spec.image},
                   {"Cmd", process.argv},
                   {"Env", process.env},
                   {"WorkingDir", process.cwd},
                   {"User", process.user},
                   {"Hostname", plan.monitor.container.hostname},
                   {"Tty", spec.tty},
                   {"OpenStdin", spec.open_stdin},
                   {"ReadonlyRootfs", spec.read_only},
                   {"Tmpfs", tmpfs},
                   {"Labels", spec.labels},
                   {"Cpus", plan.monitor.machine.vcpus},
                   {"Memory", plan.monitor.machine.memory_bytes},
                   {"AutoRemove", spec.auto_remove}};
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
