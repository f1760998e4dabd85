// What comes of running containers: their ends, what they use, their processes.
#include <nlohmann/json.hpp>

#include "runtime/json/documents.h"

namespace diatom {

Json created_json(const CreatedContainer& created) { return {{"id", created.id}, {"warnings", created.warnings}}; }

Json exit_json(const ExitInfo& exit) {
  return {
      {"exit_code", exit.exit_code}, {"signal", exit.signal}, {"oom_killed", exit.oom_killed}, {"error", exit.error}};
}

Json attach_json(const AttachResult& result) {
  Json document = exit_json(result.exit.value_or(ExitInfo()));
  document["detached"] = !result.exit;
  document["output_error"] = result.output_error;
  return document;
}

Json run_json(const RunResult& result) {
  Json document = {{"id", result.id}};
  document.update(attach_json(result.end));
  document["engine"] = result.engine;
  document["accelerator"] = result.accelerator;
  document["warnings"] = result.warnings;
  return document;
}

Json stats_json(const ContainerStats& stats) {
  Json block = Json::array();
  for (const BlockDeviceStats& one : stats.block)
    block.push_back({{"device", one.device},
                     {"read_bytes", one.read_bytes},
                     {"write_bytes", one.write_bytes},
                     {"read_operations", one.read_operations},
                     {"write_operations", one.write_operations}});
  Json networks = Json::array();
  for (const InterfaceStats& one : stats.networks)
    networks.push_back({{"name", one.name},
                        {"rx_bytes", one.rx_bytes},
                        {"rx_packets", one.rx_packets},
                        {"rx_errors", one.rx_errors},
                        {"rx_dropped", one.rx_dropped},
                        {"tx_bytes", one.tx_bytes},
                        {"tx_packets", one.tx_packets},
                        {"tx_errors", one.tx_errors},
                        {"tx_dropped", one.tx_dropped}});
  return {{"id", stats.id},
          {"name", stats.name},
          {"time_ns", stats.time_ns},
          {"cpu_us", stats.cpu_us},
          {"cpu_user_us", stats.cpu_user_us},
          {"cpu_system_us", stats.cpu_system_us},
          {"cpu_periods", stats.cpu_periods},
          {"cpu_throttled_periods", stats.cpu_throttled_periods},
          {"cpu_throttled_us", stats.cpu_throttled_us},
          {"cpus", stats.cpus},
          {"memory_bytes", stats.memory_bytes},
          {"memory_peak_bytes", stats.memory_peak_bytes},
          {"memory_limit_bytes", stats.memory_limit_bytes},
          {"memory_cache_bytes", stats.memory_cache_bytes},
          {"memory_inactive_file_bytes", stats.memory_inactive_file_bytes},
          {"memory_anon_bytes", stats.memory_anon_bytes},
          {"oom_kills", stats.oom_kills},
          {"block", block},
          {"pids", stats.pids},
          {"pids_limit", stats.pids_limit},
          {"networks", networks},
          {"host_rss_bytes", stats.host_rss_bytes},
          {"host_pss_bytes", stats.host_pss_bytes},
          {"host_cpu_us", stats.host_cpu_us}};
}

Json process_json(const ProcessInfo& process) {
  return {{"pid", process.pid},
          {"ppid", process.ppid},
          {"uid", process.uid},
          {"user", process.user},
          {"state", std::string(1, process.state)},
          {"tty", process.tty},
          {"started_ns", process.started_ns},
          {"cpu_ms", process.cpu_ms},
          {"cpu_permille", process.cpu_permille},
          {"vsz_bytes", process.vsz_bytes},
          {"rss_bytes", process.rss_bytes},
          {"nice", process.nice},
          {"threads", process.threads},
          {"command", process.command},
          {"arguments", process.arguments}};
}

Json pruned_containers_json(const Runtime::Pruned& pruned) {
  return {{"ids", pruned.ids}, {"freed_bytes", pruned.freed_bytes}};
}

}  // namespace diatom
