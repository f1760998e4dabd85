#include "base/json.h"

#include <nlohmann/json.hpp>

namespace diatom {

namespace {

constexpr int deepest = 200;

}  // namespace

Json parse_foreign_json(std::string_view text) {
  return Json::parse(text, [](int depth, Json::parse_event_t, Json&) { return depth <= deepest; }, false);
}

std::string print_json(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace diatom
