// Messages as JSON objects: a message's fields are listed once, in a function that a FieldWriter or a FieldReader is
// passed to. Strings are bytes; what is missing keeps its default; the first field that is wrong is remembered.
#pragma once

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace diatom::channel {

// Bytes that are no UTF-8 travel as {"hex": "…"}.
nlohmann::json encode_bytes(std::string_view bytes);
bool decode_bytes(const nlohmann::json& value, std::string& out);

class FieldWriter {
 public:
  void operator()(const char* name, const std::string& value) { object_[name] = encode_bytes(value); }
  void operator()(const char* name, const std::vector<std::string>& value) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& entry : value) list.push_back(encode_bytes(entry));
    object_[name] = std::move(list);
  }
  template <class Number>
    requires std::is_arithmetic_v<Number>
  void operator()(const char* name, Number value) {
    object_[name] = value;
  }
  template <class Rep, class Period>
  void operator()(const char* name, std::chrono::duration<Rep, Period> value) {
    object_[name] = value.count();
  }
  template <class Value>
  void operator()(const char* name, const std::optional<Value>& value) {
    if (value) (*this)(name, *value);
  }
  void operator()(const char* name, const std::map<std::string, std::string>& value) {
    nlohmann::json pairs = nlohmann::json::array();  // keys are bytes, too
    for (const auto& [key, entry] : value) pairs.push_back({encode_bytes(key), encode_bytes(entry)});
    object_[name] = std::move(pairs);
  }
  template <class Enum>
  void enumerator(const char* name, Enum value, Enum) {
    object_[name] = static_cast<unsigned>(value);
  }
  template <class Number>
    requires std::is_integral_v<Number>
  void operator()(const char* name, const std::vector<Number>& value) {
    object_[name] = value;
  }
  template <class Value>
  void optional(const char* name, const std::optional<Value>& value, auto fields) {
    if (value) object(name, *value, fields);
  }
  void object(const char* name, const auto& value, auto fields) {
    FieldWriter writer;
    fields(writer, value);
    object_[name] = std::move(writer.object_);
  }
  void list(const char* name, const auto& values, auto fields) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& value : values) {
      FieldWriter writer;
      fields(writer, value);
      list.push_back(std::move(writer.object_));
    }
    object_[name] = std::move(list);
  }
  std::string text() const { return object_.dump(); }

 private:
  nlohmann::json object_ = nlohmann::json::object();
};

class FieldReader {
 public:
  explicit FieldReader(const nlohmann::json& object) : object_(object) {
    if (!object_.is_object()) wrong_ = "it is no JSON object";
  }

  void operator()(const char* name, std::string& out) {
    if (const auto* value = find(name); value != nullptr && !decode_bytes(*value, out)) wrong(name);
  }
  void operator()(const char* name, bool& out) {
    const auto* value = find(name);
    if (value == nullptr) return;
    if (!value->is_boolean()) return wrong(name);
    out = value->get<bool>();
  }
  template <class Number>
    requires std::is_integral_v<Number>
  void operator()(const char* name, Number& out) {
    const auto* value = find(name);
    if (value == nullptr) return;
    if (value->is_number_unsigned() && std::in_range<Number>(value->get<uint64_t>()))
      out = static_cast<Number>(value->get<uint64_t>());
    else if (std::is_signed_v<Number> && value->is_number_integer() && !value->is_number_unsigned() &&
             std::in_range<Number>(value->get<int64_t>()))
      out = static_cast<Number>(value->get<int64_t>());
    else
      wrong(name);
  }
  void operator()(const char* name, double& out) {
    const auto* value = find(name);
    if (value == nullptr) return;
    if (!value->is_number()) return wrong(name);
    out = value->get<double>();
  }
  template <class Rep, class Period>
  void operator()(const char* name, std::chrono::duration<Rep, Period>& out) {
    Rep count = out.count();
    (*this)(name, count);
    out = std::chrono::duration<Rep, Period>(count);
  }
  template <class Value>
  void operator()(const char* name, std::optional<Value>& out) {
    if (find(name) != nullptr) (*this)(name, out.emplace());
  }
  void operator()(const char* name, std::map<std::string, std::string>& out) {
    each(name, [&](const nlohmann::json& pair) {
      std::string key;
      if (!pair.is_array() || pair.size() != 2 || !decode_bytes(pair[0], key) || !decode_bytes(pair[1], out[key]))
        wrong(name);
    });
  }
  // One of the enumerators from 0 to `last`.
  template <class Enum>
  void enumerator(const char* name, Enum& out, Enum last) {
    auto number = static_cast<unsigned>(out);
    (*this)(name, number);
    if (number > static_cast<unsigned>(last)) return wrong(name);
    out = static_cast<Enum>(number);
  }
  void operator()(const char* name, std::vector<std::string>& out) {
    each(name, [&](const nlohmann::json& entry) {
      if (!decode_bytes(entry, out.emplace_back())) wrong(name);
    });
  }
  template <class Number>
    requires std::is_integral_v<Number>
  void operator()(const char* name, std::vector<Number>& out) {
    each(name, [&](const nlohmann::json& entry) {
      if (entry.is_number_unsigned() && std::in_range<Number>(entry.get<uint64_t>()))
        out.push_back(static_cast<Number>(entry.get<uint64_t>()));
      else
        wrong(name);
    });
  }
  template <class Value>
  void optional(const char* name, std::optional<Value>& out, auto fields) {
    if (find(name) != nullptr) object(name, out.emplace(), fields);
  }
  void object(const char* name, auto& out, auto fields) {
    const auto* value = find(name);
    if (value != nullptr) read_nested(name, *value, out, fields);
  }
  void list(const char* name, auto& out, auto fields) {
    each(name, [&](const nlohmann::json& entry) { read_nested(name, entry, out.emplace_back(), fields); });
  }

  const std::string& what_is_wrong() const { return wrong_; }

 private:
  const nlohmann::json* find(const char* name) const {
    if (!object_.is_object()) return nullptr;
    auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }
  void each(const char* name, auto read) {
    const auto* value = find(name);
    if (value == nullptr) return;
    if (!value->is_array()) return wrong(name);
    for (const auto& entry : *value) {
      if (!wrong_.empty()) return;
      read(entry);
    }
  }
  void read_nested(const char* name, const nlohmann::json& value, auto& out, auto fields) {
    FieldReader reader(value);
    fields(reader, out);
    if (wrong_.empty() && !reader.wrong_.empty()) wrong_ = "in \"" + std::string(name) + "\": " + reader.wrong_;
  }
  void wrong(const char* name) {
    if (wrong_.empty()) wrong_ = std::string("field \"") + name + "\" is of the wrong kind";
  }

  const nlohmann::json& object_;  // borrowed: a copy recurses as deep as the sender has nested
  std::string wrong_;
};

template <class Message>
std::string encode_fields(const Message& message, auto fields) {
  FieldWriter writer;
  fields(writer, message);
  return writer.text();
}

template <class Message>
Result<Message> decode_fields(std::string_view what, std::string_view text, auto fields) {
  Message message;
  nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
  FieldReader reader(document);
  fields(reader, message);
  if (!reader.what_is_wrong().empty())
    return fail(Errc::invalid_argument, "read " + std::string(what) + ": " + reader.what_is_wrong());
  return message;
}

}  // namespace diatom::channel
