#include "cli/json_output.h"

#include <fmt/core.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "runtime/json/documents.h"

namespace diatom::cli {

namespace {

void print_line(FILE* out, const Json& value, int indent) { fmt::print(out, "{}\n", print_json(value, indent)); }

}  // namespace

void print_run_result(const RunResult& result, const Timing& timing) {
  Json document = run_json(result);
  document["stages"] = Json::array();
  for (const auto& stage : timing.stages())
    document["stages"].push_back({{"stage", stage.name}, {"at_us", stage.at.count()}});
  print_line(stderr, document, -1);
}

void print_containers_json(const std::vector<ContainerInfo>& containers) {
  Json list = Json::array();
  for (const ContainerInfo& info : containers) list.push_back(container_json(info));
  print_line(stdout, list, 4);
}

void print_image_list_json(const std::vector<ImageInfo>& images) {
  Json list = Json::array();
  for (const ImageInfo& image : images) list.push_back(image_summary_json(image));
  print_line(stdout, list, 2);
}

std::string shown_id(const std::string& id, bool whole) {
  size_t begin = id.find(':') + 1;  // 0 where there is none
  return whole ? id : id.substr(begin, 12);
}

void print_doctor_json(const DoctorReport& report) { print_line(stdout, doctor_json(report), 2); }

}  // namespace diatom::cli
