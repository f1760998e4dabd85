#pragma once

#include "cli/timing.h"
#include "diatom/images.h"
#include "diatom/runtime.h"

namespace diatom::cli {

// `run --json`: one line on stderr, since stdout is the program's.
void print_run_result(const RunResult& result, const Timing& timing);
void print_containers_json(const std::vector<ContainerInfo>& containers);  // docker's shape, on stdout
void print_images_json(const std::vector<ImageInfo>& images);              // docker's shape, and RootDevice
void print_image_list_json(const std::vector<ImageInfo>& images);
void print_doctor_json(const DoctorReport& report);

// "2026-11-24T12:00:00.123456789Z"; docker's zero time for 0.
std::string format_time(int64_t nanoseconds);

}  // namespace diatom::cli
