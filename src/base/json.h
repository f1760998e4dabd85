// JSON documents: objects keep the order in which their members were put.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace diatom {

using Json = nlohmann::ordered_json;

// JSON of somebody else's making: discarded when it is none, and where it is nested deeper than anybody needs, so that
// printing it is safe.
Json parse_foreign_json(std::string_view text);
// On one line, or with an indent; bytes that are no UTF-8 are replaced.
std::string print_json(const Json& value, int indent = -1);

}  // namespace diatom
