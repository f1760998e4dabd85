#include "cli/stats_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/human_time.h"

namespace diatom::cli {

namespace {

std::string pair(const std::string& one, const std::string& other) { return one + " / " + other; }

Json named(const std::string& id, const std::string& name, bool whole_id) {
  std::string shown = whole_id ? id : id.substr(0, 12);
  return {{"Container", shown}, {"Name", name}, {"ID", shown}};
}

}  // namespace

double cpu_percent(const std::optional<ContainerStats>& before, const ContainerStats& now) {
  if (!before || now.time_ns <= before->time_ns || now.cpu_us < before->cpu_us) return 0;
  double used_ns = static_cast<double>(now.cpu_us - before->cpu_us) * 1000;
  return 100 * used_ns / static_cast<double>(now.time_ns - before->time_ns);
}

Json stats_row(const std::optional<ContainerStats>& before, const ContainerStats& now, bool whole_id) {
  // docker's: what was read from files and has not been used for long is free to be given back.
  uint64_t memory = now.memory_bytes - std::min(now.memory_bytes, now.memory_inactive_file_bytes);
  double limit = static_cast<double>(now.memory_limit_bytes);
  uint64_t received = 0, sent = 0, read = 0, written = 0;
  for (const InterfaceStats& one : now.networks) {
    received += one.rx_bytes;
    sent += one.tx_bytes;
  }
  for (const BlockDeviceStats& one : now.block) {
    read += one.read_bytes;
    written += one.write_bytes;
  }
  Json row = named(now.id, now.name, whole_id);
  row["CPUPerc"] = fmt::format("{:.2f}%", cpu_percent(before, now));
  row["MemUsage"] = pair(human_binary_size(memory), human_binary_size(now.memory_limit_bytes));
  row["MemPerc"] = fmt::format("{:.2f}%", limit > 0 ? 100 * static_cast<double>(memory) / limit : 0);
  row["NetIO"] = pair(human_size(received), human_size(sent));
  row["BlockIO"] = pair(human_size(read), human_size(written));
  row["PIDs"] = std::to_string(now.pids);
  row["Host"] = pair(human_binary_size(now.host_pss_bytes), human_binary_size(now.host_rss_bytes));
  return row;
}

Json stats_row_without(const std::string& id, const std::string& name, bool whole_id) {
  Json row = named(id, name, whole_id);
  for (const char* key : {"CPUPerc", "MemPerc", "PIDs"}) row[key] = "--";
  for (const char* key : {"MemUsage", "NetIO", "BlockIO", "Host"}) row[key] = "-- / --";
  return row;
}

}  // namespace diatom::cli
