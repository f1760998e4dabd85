#pragma once

#include "cli/template.h"
#include "cli/timing.h"
#include "diatom/images.h"
#include "diatom/runtime.h"

namespace diatom::cli {

// `run --json`: one line on stderr, since stdout is the program's.
void print_run_result(const RunResult& result, const Timing& timing);
// docker's shapes of `inspect`, and what we know beyond them.
Json container_json(const ContainerInfo& info);
Json image_json(const ImageInfo& image);
void print_containers_json(const std::vector<ContainerInfo>& containers);  // on stdout
void print_image_list_json(const std::vector<ImageInfo>& images);
void print_doctor_json(const DoctorReport& report);

// "sha256:0123…", or the first twelve digits alone.
std::string shown_id(const std::string& id, bool whole);

// "2026-11-24T12:00:00.123456789Z"; docker's zero time for 0.
std::string format_time(int64_t nanoseconds);

}  // namespace diatom::cli
