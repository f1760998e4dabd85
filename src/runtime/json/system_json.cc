// This host, and what happens on it.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/time_text.h"
#include "runtime/json/documents.h"

namespace diatom {

namespace {

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

struct Counts {
  int64_t running = 0, paused = 0, stopped = 0;
};
Counts count(const std::vector<ContainerInfo>& containers) {
  Counts counts;
  for (const ContainerInfo& info : containers) {
    bool stopped = info.state == "exited" || info.state == "failed" || info.state == "created";
    ++(info.state == "paused" ? counts.paused : stopped ? counts.stopped : counts.running);
  }
  return counts;
}

Json kind_json(const DiskUsage::Kind& kind) {
  return {{"TotalCount", kind.count},
          {"Active", kind.active},
          {"Size", kind.bytes},
          {"Reclaimable", kind.reclaimable_bytes}};
}

Json attributes_json(const Event& event) {
  Json attributes = Json::object();
  for (const auto& [key, value] : event.attributes) attributes[key] = value;
  return attributes;
}

}  // namespace

// With the fields that docker had before there was Actor.
Json event_json(const Event& event) {
  Json json = {{"status", event.action}, {"id", event.actor_id}};
  if (auto image = event.attributes.find("image"); image != event.attributes.end() && !image->second.empty())
    json["from"] = image->second;
  json.update({{"Type", event.type},
               {"Action", event.action},
               {"Actor", {{"ID", event.actor_id}, {"Attributes", attributes_json(event)}}},
               {"scope", "local"},
               {"time", event.time_ns / 1'000'000'000},
               {"timeNano", event.time_ns}});
  return json;
}

Json doctor_json(const DoctorReport& report) {
  Json checks = Json::array();
  for (const DoctorCheck& check : report.checks)
    checks.push_back({{"name", check.name},
                      {"ok", check.ok},
                      {"required", check.required},
                      {"detail", check.detail},
                      {"hint", check.hint}});
  return {
      {"usable", report.usable}, {"engine", report.engine}, {"accelerator", report.accelerator}, {"checks", checks}};
}

Json version_json(const SystemInfo& system) {
  return {
      {"Client", {{"Version", DIATOM_VERSION}, {"Os", system.host_os}, {"Arch", system.host_architecture}}},
      {"Engine", {{"Name", system.engine}, {"Version", system.engine_version}, {"Accelerator", system.accelerator}}},
      {"Guest", {{"KernelVersion", system.guest_kernel}}}};
}

// docker's names where it has some.
Json info_json(const SystemInfo& system, const std::vector<ContainerInfo>& containers, size_t images) {
  Counts counts = count(containers);
  return {{"Containers", containers.size()},
          {"ContainersRunning", counts.running},
          {"ContainersPaused", counts.paused},
          {"ContainersStopped", counts.stopped},
          {"Images", images},
          {"Driver", "erofs"},
          {"LoggingDriver", "json-file"},
          {"CgroupDriver", "cgroupfs"},
          {"CgroupVersion", "2"},
          {"KernelVersion", system.host_kernel},
          {"OSType", system.host_os},
          {"Architecture", system.host_architecture},
          {"NCPU", system.host_cpus},
          {"MemTotal", system.host_memory_bytes},
          {"Name", host_name()},
          {"ServerVersion", DIATOM_VERSION},
          {"RootDir", system.home},
          {"RunDir", system.run},
          {"Engine",
           {{"Name", system.engine},
            {"Version", system.engine_version},
            {"Accelerator", system.accelerator},
            {"GuestKernel", system.guest_kernel}}},
          {"Warnings", system.warnings}};
}

Json disk_usage_json(const DiskUsage& usage) {
  Json containers = Json::array();
  for (const auto& one : usage.each_container) containers.push_back({{"Id", one.id}, {"Size", one.bytes}});
  Json document = {{"Images", kind_json(usage.images)},
                   {"Containers", kind_json(usage.containers)},
                   {"Templates", kind_json(usage.templates)},
                   {"Snapshots", kind_json(usage.snapshots)}};
  document["Containers"]["Each"] = containers;
  return document;
}

Json snapshot_json(const SnapshotInfo& info) {
  return {{"Name", info.name},
          {"ContainerId", info.container},
          {"Container", info.container_name},
          {"ImageId", "sha256:" + info.image},
          {"Image", info.image_name},
          {"Created", json_time(info.created_ns)},
          {"CPUs", info.vcpus},
          {"Memory", info.memory_bytes},
          {"Size", info.disk_bytes}};
}

Json login_json(const LoginResult& result) { return {{"registry", result.registry}, {"stored_in", result.stored_in}}; }

std::string json_time(int64_t nanoseconds) {
  if (nanoseconds == 0) return "0001-01-01T00:00:00Z";
  return format_rfc3339(nanoseconds);
}

}  // namespace diatom
