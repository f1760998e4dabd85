#include "cli/json_output.h"

#include <fmt/core.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/time_text.h"

namespace diatom::cli {

namespace {

void print_line(FILE* out, const Json& value, int indent) { fmt::print(out, "{}\n", print_json(value, indent)); }

// What docker always has in an image's Config: a template may name it though this image says nothing of it.
Json image_config(const Json& document) {
  static constexpr const char* texts[] = {"User", "WorkingDir"};
  static constexpr const char* lists[] = {"Env", "Cmd", "Entrypoint"};
  static constexpr const char* maps[] = {"ExposedPorts", "Volumes", "Labels"};
  Json config = Json::object();
  if (document.is_object() && document.contains("config") && document["config"].is_object())
    config = document["config"];
  for (const char* key : texts)
    if (!config.contains(key)) config[key] = "";
  for (const char* key : lists)
    if (!config.contains(key)) config[key] = nullptr;
  for (const char* key : maps)
    if (!config.contains(key)) config[key] = nullptr;
  return config;
}

std::string text_of(const Json& document, const char* key) {
  bool there = document.is_object() && document.contains(key) && document[key].is_string();
  return there ? document[key].get<std::string>() : "";
}

}  // namespace

std::string format_time(int64_t nanoseconds) {
  if (nanoseconds == 0) return "0001-01-01T00:00:00Z";
  return format_rfc3339(nanoseconds);
}

void print_run_result(const RunResult& result, const Timing& timing) {
  Json stages = Json::array();
  for (const auto& stage : timing.stages()) stages.push_back({{"stage", stage.name}, {"at_us", stage.at.count()}});
  ExitInfo exit = result.end.exit.value_or(ExitInfo());
  print_line(stderr,
             {{"id", result.id},
              {"exit_code", exit.exit_code},
              {"signal", exit.signal},
              {"oom_killed", exit.oom_killed},
              {"engine", result.engine},
              {"accelerator", result.accelerator},
              {"warnings", result.warnings},
              {"stages", stages}},
             -1);
}

void print_containers_json(const std::vector<ContainerInfo>& containers) {
  Json list = Json::array();
  for (const ContainerInfo& info : containers) list.push_back(container_json(info));
  print_line(stdout, list, 4);
}

void print_image_list_json(const std::vector<ImageInfo>& images) {
  Json list = Json::array();
  for (const ImageInfo& image : images)
    list.push_back(
        {{"Id", image.id}, {"RepoTags", image.tags}, {"Created", image.created}, {"Size", image.size_bytes}});
  print_line(stdout, list, 2);
}

Json image_json(const ImageInfo& image) {
  Json document = parse_foreign_json(image.config_json);
  Json device = Json::array();
  for (const ImageExtent& extent : image.root_device)
    device.push_back({{"Path", extent.path}, {"Bytes", extent.bytes}});
  return {{"Id", image.id},
          {"RepoTags", image.tags},
          {"RepoDigests", image.digests},
          {"Manifest", image.manifest_digest},
          {"Created", image.created},
          {"Loaded", format_time(image.loaded_ns)},
          {"Author", text_of(document, "author")},
          {"Architecture", image.architecture},
          {"Variant", image.variant},
          {"Os", image.os},
          {"Size", image.size_bytes},
          {"Config", image_config(document)},
          {"RootFS", {{"Type", "layers"}, {"Layers", image.layers}}},
          {"RootDevice", device}};
}

std::string shown_id(const std::string& id, bool whole) {
  size_t begin = id.find(':') + 1;  // 0 where there is none
  return whole ? id : id.substr(begin, 12);
}

void print_doctor_json(const DoctorReport& report) {
  Json checks = Json::array();
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
