#include "runtime/json/object_reader.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/json_shape.h"
#include "base/text.h"

namespace diatom {

namespace {

constexpr size_t most_bytes = 16 << 20;

// A parser keeps one of two members of one name: the other would be silently left out.
class Duplicates {
 public:
  void see(Json::parse_event_t event, const Json& parsed) {
    if (event == Json::parse_event_t::object_start) open_.emplace_back();
    if (event == Json::parse_event_t::object_end) open_.pop_back();
    if (event != Json::parse_event_t::key) return;
    const auto& name = parsed.get_ref<const std::string&>();
    if (!open_.back().insert(name).second && !found_) found_ = name;
  }
  const std::optional<std::string>& found() const { return found_; }

 private:
  std::vector<std::set<std::string>> open_;
  std::optional<std::string> found_;
};

std::unexpected<Error> refuse(std::string_view what, std::string_view why, std::string hint = {}) {
  return fail(Errc::invalid_argument, fmt::format("read {}: {}", what, why), std::move(hint));
}

}  // namespace

Result<Json> parse_json_object(std::string_view what, std::string_view text) {
  if (text.size() > most_bytes || json_is_excessive(text)) return refuse(what, "it is too large, or nested too deep");
  Duplicates duplicates;
  Json document;
  try {
    document = Json::parse(text, [&](int, Json::parse_event_t event, Json& parsed) {
      duplicates.see(event, parsed);
      return true;
    });
  } catch (const Json::exception& error) {
    std::string_view why = error.what();  // "[json.exception.parse_error.101] parse error at line 1, …"
    return refuse(what, printable(why.substr(std::min(why.find("] ") + 2, why.size()))), "it is to be a JSON object");
  }
  if (!document.is_object()) return refuse(what, "it is no JSON object");
  if (const auto& twice = duplicates.found())
    return refuse(what, fmt::format("the field \"{}\" is there twice", printable(*twice)));
  return document;
}

const Json* ObjectReader::take(const char* name) {
  known_.emplace_back(name);
  return !error_ && is_there(name) ? &*object_.find(name) : nullptr;
}

bool ObjectReader::is_there(const char* name) const {
  auto found = object_.find(name);
  return found != object_.end() && !found->is_null();
}

void ObjectReader::wrong(const char* name, std::string why) {
  check(name, fail(Errc::invalid_argument, std::move(why)));
}

void ObjectReader::check(const char* name, const Result<>& result) {
  if (result || error_) return;
  error_ = result.error();
  error_->message = fmt::format("read {}: {}{}: {}", what_, prefix_, name, error_->message);
}

bool ObjectReader::is_text(const char* name, const Json& value) {
  // A program's words end where they have a NUL: what is behind it would be left out.
  bool whole = value.is_string() && value.get_ref<const std::string&>().find('\0') == std::string::npos;
  if (!whole) wrong(name, value.is_string() ? "its text has a NUL character" : "it is no text");
  return whole;
}

bool ObjectReader::text_of(const char* name, const Json& value, std::string& out) {
  if (value.is_number()) {
    out = value.dump();
    return true;
  }
  if (!is_text(name, value)) return false;
  out = value.get_ref<const std::string&>();
  return true;
}

void ObjectReader::operator()(const char* name, std::string& out) {
  const Json* value = take(name);
  if (value != nullptr && is_text(name, *value)) out = value->get_ref<const std::string&>();
}

void ObjectReader::operator()(const char* name, bool& out) {
  const Json* value = take(name);
  if (value == nullptr) return;
  if (!value->is_boolean()) return wrong(name, "it is neither true nor false");
  out = value->get<bool>();
}

void ObjectReader::operator()(const char* name, std::vector<std::string>& out) {
  each_value(name, [&](const Json& value) {
    if (is_text(name, value)) out.push_back(value.get<std::string>());
  });
}

void ObjectReader::operator()(const char* name, std::map<std::string, std::string>& out) {
  members(name, [&](const std::string& key, const Json& value) -> Result<> {
    if (key.find('\0') != std::string::npos) return fail(Errc::invalid_argument, "a name has a NUL character");
    if (is_text(name, value)) out[key] = value.get<std::string>();
    return {};
  });
}

Result<> ObjectReader::finish() const {
  if (error_) return std::unexpected(*error_);
  for (const auto& [name, value] : object_.items()) {
    if (std::ranges::find(known_, name) != known_.end()) continue;
    std::string fields;
    for (const auto& known : known_) fields += (fields.empty() ? "" : ", ") + known;
    return refuse(what_, fmt::format("there is no field \"{}\"", printable(prefix_ + name)),
                  fields.empty() ? "no field is known here" : "the fields are " + fields);
  }
  return {};
}

}  // namespace diatom
