// A container as docker's `inspect` shows it, and what we know beyond that.
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "net/port_mapping.h"
#include "runtime/json/documents.h"
#include "runtime/spec_text.h"

namespace diatom {

namespace {

Json or_null(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) ? object[key] : Json();
}

std::string text_or_empty(const Json& object, const char* key) {
  Json value = or_null(object, key);
  return value.is_string() ? value.get<std::string>() : "";
}

Json list_or_null(const std::vector<std::string>& words) { return words.empty() ? Json() : Json(words); }

Json map_of(const std::map<std::string, std::string>& entries) {
  Json map = Json::object();
  for (const auto& [key, value] : entries) map[key] = value;
  return map;
}

Json health_json(const HealthState& health) {
  Json log = Json::array();
  for (const HealthProbe& probe : health.log)
    log.push_back({{"Start", json_time(probe.started_ns)},
                   {"End", json_time(probe.ended_ns)},
                   {"ExitCode", probe.exit_code},
                   {"Output", probe.output}});
  return {{"Status", health.status}, {"FailingStreak", health.failing_streak}, {"Log", log}};
}

Json state_json(const ContainerInfo& info) {
  bool paused = info.state == "paused";
  bool restarting = info.state == "restarting";
  // docker's: one that is paused or about to run again counts as running.
  bool running = info.state == "running" || info.state == "stopping" || paused || restarting;
  Json state = {{"Status", info.state},
                {"Running", running},
                {"Paused", paused},
                {"Restarting", restarting},
                {"OOMKilled", info.oom_killed},
                {"Dead", false},
                {"Pid", info.pid},
                {"ExitCode", info.exit_code},
                {"Signal", info.signal},
                {"Error", info.error},
                {"StartedAt", json_time(info.started_ns)},
                {"FinishedAt", json_time(info.finished_ns)}};
  if (!info.health.status.empty()) state["Health"] = health_json(info.health);
  return state;
}

// "80/tcp": [{"HostIp", "HostPort"}], as docker has ports that are wished for and those that are there.
void add_binding(Json& ports, const PortMapping& port) {
  Json& bindings = ports[net::print_container_port(port)];
  if (!bindings.is_array()) bindings = Json::array();
  std::string host = port.host_address.empty() ? "127.0.0.1" : port.host_address;
  bindings.push_back({{"HostIp", host}, {"HostPort", port.host_port == 0 ? "" : std::to_string(port.host_port)}});
}

std::string network_mode(const ContainerInfo& info) {
  return info.spec.network.empty() ? "default" : info.spec.network;
}

Json host_config(const ContainerInfo& info) {
  const ContainerSpec& spec = info.spec;
  Json bindings = Json::object();
  for (const PortMapping& port : spec.ports) add_binding(bindings, port);
  Json tmpfs = Json::object();
  for (const TmpfsMount& mount : spec.tmpfs) tmpfs[mount.path] = mount.options;
  Json ulimits = Json::array();
  auto limit = [](uint64_t value) { return value == Ulimit::unlimited ? Json(-1) : Json(value); };
  for (const Ulimit& one : spec.ulimits)
    ulimits.push_back({{"Name", one.name}, {"Soft", limit(one.soft)}, {"Hard", limit(one.hard)}});
  Json security = Json::array();
  if (spec.no_new_privileges) security.push_back("no-new-privileges");
  return {{"Memory", spec.memory_bytes},
          {"NanoCpus", static_cast<int64_t>(spec.cpus * 1e9)},
          {"PidsLimit", spec.pids_limit == 0 ? Json() : Json(spec.pids_limit)},
          {"DiskSize", spec.disk_bytes},
          {"RestartPolicy",
           {{"Name", restart_policy_name(spec.restart.kind)}, {"MaximumRetryCount", spec.restart.max_retries}}},
          {"AutoRemove", spec.auto_remove},
          {"NetworkMode", network_mode(info)},
          {"PortBindings", bindings},
          {"PublishAllPorts", spec.publish_all},
          {"ReadonlyRootfs", spec.read_only},
          {"Tmpfs", tmpfs},
          {"ShmSize", spec.shm_bytes},
          {"Ulimits", ulimits},
          {"Sysctls", map_of(spec.sysctls)},
          {"CapAdd", list_or_null(spec.cap_add)},
          {"CapDrop", list_or_null(spec.cap_drop)},
          {"GroupAdd", list_or_null(spec.group_add)},
          {"Privileged", spec.privileged},
          {"SecurityOpt", security},
          {"Init", spec.init},
          {"Binds", Json()},
          {"LogConfig",
           {{"Type", "json-file"},
            {"Config",
             {{"max-size", std::to_string(spec.log.max_bytes)}, {"max-file", std::to_string(spec.log.max_files)}}}}},
          {"Dns", spec.dns},
          {"DnsOptions", spec.dns_options},
          {"DnsSearch", spec.dns_search},
          {"ExtraHosts", list_or_null(spec.extra_hosts)}};
}

// What was decided: the image's words, and the spec's over them.
Json config(const ContainerInfo& info, const Json& decided) {
  Json exposed = Json::object();
  for (const auto& port : container_exposed(info)) exposed[port] = Json::object();
  // One from before there were these has its command whole.
  Json command = decided.is_object() && decided.contains("Arguments") ? decided["Arguments"] : or_null(decided, "Cmd");
  return {{"Hostname", text_or_empty(decided, "Hostname")},
          {"User", text_or_empty(decided, "User")},
          {"Env", or_null(decided, "Env")},
          {"Cmd", command},
          {"Entrypoint", or_null(decided, "Entrypoint")},
          {"Image", info.image},
          {"WorkingDir", text_or_empty(decided, "WorkingDir")},
          {"Tty", info.spec.tty},
          {"OpenStdin", info.spec.open_stdin},
          {"StdinOnce", info.spec.stdin_once},
          {"Labels", map_of(info.spec.labels)},
          {"ExposedPorts", exposed},
          {"Volumes", Json()},
          {"StopSignal", text_or_empty(decided, "StopSignal")},
          {"StopTimeout", info.spec.stop_timeout ? Json(info.spec.stop_timeout->count()) : Json()},
          {"Healthcheck", or_null(decided, "Healthcheck")}};
}

Json network_settings(const ContainerInfo& info, const Json& decided) {
  Json ports = Json::object();
  for (const PortMapping& port : info.ports) add_binding(ports, port);
  if (!info.address.empty())
    for (const auto& port : container_exposed(info))
      if (!ports.contains(port)) ports[port] = Json();
  bool connected = !info.address.empty();
  Json prefix = or_null(decided, "IPPrefixLen");
  Json here = {{"IPAddress", info.address},
               {"IPPrefixLen", connected && prefix.is_number() ? prefix : Json(0)},
               {"Gateway", connected ? text_or_empty(decided, "Gateway") : ""},
               {"MacAddress", connected ? text_or_empty(decided, "MacAddress") : ""}};
  Json settings = here;
  settings["Ports"] = ports;
  settings["Networks"] = {{network_mode(info), here}};
  return settings;
}

// When each was reached, and how long after the one before.
Json stages_json(const std::vector<StageTime>& stages) {
  constexpr double us_per_ms = 1e3;
  Json list = Json::array();
  for (size_t i = 0; i < stages.size(); ++i) {
    int64_t took_ns = i == 0 ? 0 : stages[i].time_ns - stages[i - 1].time_ns;
    list.push_back({{"Name", stages[i].name},
                    {"Time", json_time(stages[i].time_ns)},
                    {"Milliseconds", static_cast<double>(took_ns / 1000) / us_per_ms}});
  }
  return list;
}

// The guest, as docker has no words for it.
Json engine_json(const ContainerInfo& info, const Json& decided) {
  return {{"Name", info.engine},
          {"Accelerator", info.accelerator},
          {"Kernel", info.kernel},
          {"Start", info.start_kind},
          {"Stages", stages_json(info.stages)},
          {"Cpus", or_null(decided, "Cpus")},
          {"Memory", or_null(decided, "Memory")}};
}

}  // namespace

std::vector<std::string> container_exposed(const ContainerInfo& info) {
  std::vector<std::string> ports;
  Json spec = parse_foreign_json(info.spec_json);
  if (!spec.is_object() || !spec.contains("ExposedPorts") || !spec["ExposedPorts"].is_array()) return ports;
  for (const Json& port : spec["ExposedPorts"])
    if (port.is_string()) ports.push_back(port.get<std::string>());
  return ports;
}

Json container_json(const ContainerInfo& info) {
  Json decided = parse_foreign_json(info.spec_json);
  Json args = Json::array();
  for (size_t i = 1; i < info.command.size(); ++i) args.push_back(info.command[i]);
  return {{"Id", info.id},
          {"Created", json_time(info.created_ns)},
          {"Path", info.command.empty() ? "" : info.command.front()},
          {"Args", args},
          {"State", state_json(info)},
          {"Image", info.image_id},
          {"Name", "/" + info.name},
          {"RestartCount", info.restart_count},
          {"LogPath", info.log_path},
          {"Platform", "linux"},
          {"HostConfig", host_config(info)},
          {"Mounts", Json::array()},
          {"Config", config(info, decided)},
          {"NetworkSettings", network_settings(info, decided)},
          {"Engine", engine_json(info, decided)}};
}

}  // namespace diatom
