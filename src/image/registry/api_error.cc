#include "image/registry/api_error.h"
#include "base/text.h"

#include <nlohmann/json.hpp>

namespace diatom::image {

namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* name) {
  if (!object.is_object()) return "";
  auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string describe_entry(const json& entry) {
  std::string message = text_of(entry, "message");
  std::string code = text_of(entry, "code");
  std::string detail = text_of(entry, "detail");
  if (message.empty()) std::swap(message, detail);
  if (message.empty()) return code;
  if (!detail.empty() && detail != message) message += ": " + detail;
  return code.empty() ? message : message + " (" + code + ")";
}

std::string describe_document(const json& document) {
  if (!document.is_object()) return "";
  if (auto errors = document.find("errors"); errors != document.end() && errors->is_array() && !errors->empty())
    return describe_entry(errors->front());
  std::string error = text_of(document, "error");
  std::string description = text_of(document, "error_description");
  if (!description.empty()) return error.empty() ? description : description + " (" + error + ")";
  for (const char* name : {"details", "message"})
    if (std::string text = text_of(document, name); !text.empty()) return text;
  return error;
}

}  // namespace

std::string describe_error_body(std::string_view body) {
  json document = json::parse(body, nullptr, false);
  if (!document.is_discarded()) return printable(describe_document(document));
  if (body.empty() || body.front() == '<' || body.front() == '{' || body.front() == '[') return "";
  return printable(body.substr(0, body.find_first_of("\r\n")));
}

}  // namespace diatom::image
