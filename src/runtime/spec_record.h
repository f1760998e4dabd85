// A ContainerSpec as it is kept in a container's record: everything that was asked for, so that its monitor can start
// it, today or after an upgrade. Fields that a record lacks have their defaults.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "diatom/spec.h"

namespace diatom {

std::string encode_spec(const ContainerSpec& spec);
// Errors: internal names the field; the record is damaged.
Result<ContainerSpec> decode_spec(std::string_view text);

// Ports as they are bound.
std::string encode_ports(const std::vector<PortMapping>& ports);
std::vector<PortMapping> decode_ports(std::string_view text);  // what is damaged is none

}  // namespace diatom
