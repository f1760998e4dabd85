#include "image/config_json.h"

#include <vector>

#include "oci/environment.h"

namespace diatom::image {

using nlohmann::json;

json& object_at(json& parent, const char* name) {
  json& value = parent[name];
  if (!value.is_object()) value = json::object();
  return value;
}

json& list_at(json& parent, const char* name) {
  json& value = parent[name];
  if (!value.is_array()) value = json::array();
  return value;
}

void set_variable(json& config, const std::string& entry) {
  std::vector<std::string> env;
  for (const json& old : list_at(config, "Env"))
    if (old.is_string()) env.push_back(old.get<std::string>());
  oci::set_variable(env, entry);
  config["Env"] = std::move(env);
}

void expose_port(json& config, const std::string& port) {
  object_at(config, "ExposedPorts")[port.find('/') == std::string::npos ? port + "/tcp" : port] = json::object();
}

}  // namespace diatom::image
