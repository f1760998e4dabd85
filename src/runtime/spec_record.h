// A ContainerSpec as it is kept in a container's record: everything that was asked for, so that its monitor can start
// it, today or after an upgrade. Fields that a record lacks have their defaults.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "diatom/spec.h"

namespace diatom {

// Of a restart policy, wherever it is written (channel/json_fields.h).
inline constexpr auto restart_fields = [](auto& field, auto& policy) {
  field.enumerator("kind", policy.kind, RestartPolicy::Kind::unless_stopped);
  field("max_retries", policy.max_retries);
};

std::string encode_spec(const ContainerSpec& spec);
// Errors: invalid_argument names the field; the record is damaged.
Result<ContainerSpec> decode_spec(std::string_view text);

// Ports as they are bound.
std::string encode_ports(const std::vector<PortMapping>& ports);
std::vector<PortMapping> decode_ports(std::string_view text);  // what is damaged is none

}  // namespace diatom
