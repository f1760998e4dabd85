// Changes of an image's config as JSON, by whoever makes an image: what is of the wrong kind is replaced.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace diatom::image {

nlohmann::json& object_at(nlohmann::json& parent, const char* name);
nlohmann::json& list_at(nlohmann::json& parent, const char* name);
// Of "Env", as oci::set_variable().
void set_variable(nlohmann::json& config, const std::string& entry);
void expose_port(nlohmann::json& config, const std::string& port);  // "80", "53/udp"

}  // namespace diatom::image
