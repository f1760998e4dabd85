#pragma once

#include "cli/timing.h"
#include "diatom/images.h"
#include "diatom/runtime.h"

namespace diatom::cli {

// `run --json`: one line on stderr, since stdout is the program's.
void print_run_result(const RunResult& result, const Timing& timing);
void print_containers_json(const std::vector<ContainerInfo>& containers);  // on stdout
void print_image_list_json(const std::vector<ImageInfo>& images);
void print_doctor_json(const DoctorReport& report);

// "sha256:0123…", or the first twelve digits alone.
std::string shown_id(const std::string& id, bool whole);

}  // namespace diatom::cli
