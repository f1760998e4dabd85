#pragma once

#include <string>
#include <vector>

#include "diatom/spec.h"
#include "runtime/plan.h"

namespace diatom {

// What was decided about a container, for `inspect`: kept in its record.
std::string print_spec(const ContainerSpec& spec, const Plan& plan, const ImageDefaults& image = {});
// The same after `update`: limits are what can change.
std::string update_printed_spec(const std::string& spec_json, const ContainerSpec& spec);
// The command of a record's spec; empty when it makes no sense.
std::vector<std::string> command_of(const std::string& spec_json);

}  // namespace diatom
