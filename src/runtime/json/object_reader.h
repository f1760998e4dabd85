// JSON objects that a caller hands to us. Each field is asked for by its name; one that nobody asked for is refused by
// its name, so that nothing is silently left undone. Total: any text gives values or an error (invalid_argument, but
// for what a field's own parser says) that names the document and the field.
#pragma once

#include <concepts>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace diatom {

// `what`: "container document", for messages. Refuses what is no object, what has a name twice, and what is larger or
// deeper than anybody needs.
Result<Json> parse_json_object(std::string_view what, std::string_view text);

class ObjectReader {
 public:
  // Borrows the object.
  ObjectReader(std::string_view what, const Json& object) : what_(what), object_(object) {}

  // A field that is missing or null leaves `out` as it is. After the first error nothing is read any more.
  void operator()(const char* name, std::string& out);
  void operator()(const char* name, bool& out);
  void operator()(const char* name, std::vector<std::string>& out);
  void operator()(const char* name, std::map<std::string, std::string>& out);
  template <std::unsigned_integral Number>
  void operator()(const char* name, Number& out) {
    const Json* value = take(name);
    if (value == nullptr) return;
    if (value->is_number_unsigned() && std::in_range<Number>(value->get<uint64_t>()))
      out = static_cast<Number>(value->get<uint64_t>());
    else
      wrong(name, "it is no whole number from 0 to " + std::to_string(Number(-1)));
  }
  template <class Value>
  void operator()(const char* name, std::optional<Value>& out) {
    if (is_there(name))
      (*this)(name, out.emplace());
    else
      known_.emplace_back(name);
  }
  // A text, or a number as it is written, that `parse` (std::string → Result<Value>) makes a value of.
  template <class Value>
  void parsed(const char* name, Value& out, auto parse) {
    with_text(name, take(name), [&](const std::string& text) -> Result<> {
      out = TRY(parse(text));
      return {};
    });
  }
  // The same of each text of a list; `use`: std::string → Result<>.
  void each(const char* name, auto use) {
    each_value(name, [&](const Json& value) { with_text(name, &value, use); });
  }
  void each_value(const char* name, auto use) {
    const Json* list = take(name);
    if (list == nullptr) return;
    if (!list->is_array()) return wrong(name, "it is no list");
    for (const Json& value : *list)
      if (!error_) use(value);
  }
  // Objects within: `read` is handed a reader, whose fields are named behind ours ("resources.memory").
  void object(const char* name, auto read) {
    if (const Json* value = take(name)) nested(name, *value, read);
  }
  void nested(const char* name, const Json& value, auto read) {
    if (!value.is_object()) return wrong(name, "it is no object");
    ObjectReader inner(what_, value);
    inner.prefix_ = prefix_ + name + ".";
    read(inner);
    if (auto finished = inner.finish(); !finished) error_ = std::move(finished.error());
  }
  // The members of an object of the caller's own names; `use`: name, value → Result<>.
  void members(const char* name, auto use) {
    const Json* value = take(name);
    if (value == nullptr) return;
    if (!value->is_object()) return wrong(name, "it is no object");
    for (const auto& [key, member] : value->items())
      if (!error_) check(name, use(key, member));
  }
  bool is_there(const char* name) const;
  void check(const char* name, const Result<>& result);
  void wrong(const char* name, std::string why);

  // The first error; or that there is a field which nobody asked for.
  Result<> finish() const;

 private:
  const Json* take(const char* name);
  void with_text(const char* name, const Json* value, auto use) {
    std::string text;
    if (value != nullptr && text_of(name, *value, text)) check(name, use(text));
  }
  bool text_of(const char* name, const Json& value, std::string& out);
  bool is_text(const char* name, const Json& value);

  std::string_view what_;
  std::string prefix_;
  const Json& object_;
  std::vector<std::string> known_;
  std::optional<Error> error_;
};

// A whole document whose fields `read` (an ObjectReader) reads.
Result<> read_json_object(std::string_view what, std::string_view text, auto read) {
  Json document = TRY(parse_json_object(what, text));
  ObjectReader reader(what, document);
  read(reader);
  return reader.finish();
}

}  // namespace diatom
