#include "cli/json_output.h"

#include <fmt/core.h>

#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

namespace diatom::cli {

namespace {

using nlohmann::ordered_json;

void print_line(FILE* out, const ordered_json& value, int indent) {
  // Bytes of a guest need not be UTF-8: replaced rather than thrown at.
  fmt::print(out, "{}\n", value.dump(indent, ' ', false, ordered_json::error_handler_t::replace));
}

}  // namespace

std::string format_time(int64_t nanoseconds) {
  if (nanoseconds == 0) return "0001-01-01T00:00:00Z";
  time_t seconds = nanoseconds / 1'000'000'000;
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, nanoseconds % 1'000'000'000);
}

void print_run_result(const RunResult& result, const Timing& timing) {
  ordered_json stages = ordered_json::array();
  for (const auto& stage : timing.stages()) stages.push_back({{"stage", stage.name}, {"at_us", stage.at.count()}});
  print_line(stderr,
             {{"id", result.id},
              {"exit_code", result.exit_code},
              {"signal", result.signal},
              {"oom_killed", result.oom_killed},
              {"engine", result.engine},
              {"accelerator", result.accelerator},
              {"warnings", result.warnings},
              {"stages", stages}},
             -1);
}

void print_containers_json(const std::vector<ContainerInfo>& containers) {
  ordered_json list = ordered_json::array();
  for (const ContainerInfo& info : containers) {
    ordered_json spec = ordered_json::parse(info.spec_json, nullptr, false);
    list.push_back({{"Id", info.id},
                    {"Created", format_time(info.created_ns)},
                    {"Name", "/" + info.name},
                    {"Image", info.image_id},
                    {"State",
                     {{"Status", info.state},
                      {"Running", info.state == "running"},
                      {"OOMKilled", info.oom_killed},
                      {"ExitCode", info.exit_code},
                      {"Signal", info.signal},
                      {"Error", info.error},
                      {"StartedAt", format_time(info.started_ns)},
                      {"FinishedAt", format_time(info.finished_ns)}}},
                    {"Engine", {{"Name", info.engine}, {"Accelerator", info.accelerator}, {"Kernel", info.kernel}}},
                    {"Config", spec.is_discarded() ? ordered_json() : spec}});
  }
  print_line(stdout, list, 4);
}

void print_image_list_json(const std::vector<ImageInfo>& images) {
  ordered_json list = ordered_json::array();
  for (const ImageInfo& image : images)
    list.push_back(
        {{"Id", image.id}, {"RepoTags", image.tags}, {"Created", image.created}, {"Size", image.size_bytes}});
  print_line(stdout, list, 2);
}

void print_images_json(const std::vector<ImageInfo>& images) {
  ordered_json list = ordered_json::array();
  for (const ImageInfo& image : images) {
    ordered_json document = ordered_json::parse(image.config_json, nullptr, false);
    ordered_json config = document.is_object() ? document.value("config", ordered_json()) : ordered_json();
    ordered_json device = ordered_json::array();
    for (const ImageExtent& extent : image.root_device)
      device.push_back({{"Path", extent.path}, {"Bytes", extent.bytes}});
    list.push_back({{"Id", image.id},
                    {"RepoTags", image.tags},
                    {"Manifest", image.manifest_digest},
                    {"Created", image.created},
                    {"Loaded", format_time(image.loaded_ns)},
                    {"Architecture", image.architecture},
                    {"Os", image.os},
                    {"Size", image.size_bytes},
                    {"Config", config},
                    {"RootFS", {{"Type", "layers"}, {"Layers", image.layers}}},
                    {"RootDevice", device}});
  }
  print_line(stdout, list, 4);
}

void print_doctor_json(const DoctorReport& report) {
  ordered_json checks = ordered_json::array();
  for (const DoctorCheck& check : report.checks)
    checks.push_back({{"name", check.name},
                      {"ok", check.ok},
                      {"required", check.required},
                      {"detail", check.detail},
                      {"hint", check.hint}});
  print_line(
      stdout,
      {{"usable", report.usable}, {"engine", report.engine}, {"accelerator", report.accelerator}, {"checks", checks}},
      2);
}

}  // namespace diatom::cli
