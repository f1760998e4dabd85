#include "runtime/control_messages.h"

#include <nlohmann/json.hpp>

#include "channel/json_fields.h"

namespace diatom {

namespace {

using channel::decode_bytes;
using channel::encode_bytes;
using nlohmann::json;

template <class T>
T field(const json& object, const char* name, T fallback) {
  auto found = object.is_object() ? object.find(name) : object.end();
  if (!object.is_object() || found == object.end()) return fallback;
  if constexpr (std::is_same_v<T, bool>)
    return found->is_boolean() ? found->get<bool>() : fallback;
  else
    return found->is_number() ? found->get<T>() : fallback;
}

std::string text_field(const json& object, const char* name) {
  std::string text;
  if (auto found = object.is_object() ? object.find(name) : object.end(); object.is_object() && found != object.end())
    decode_bytes(*found, text);
  return text;
}

bool has(const json& object, const char* name) { return object.contains(name) && !object[name].is_null(); }

Result<json> parse_object(std::string_view text, std::string_view what) {
  json document = json::parse(text, nullptr, false);
  if (!document.is_object())
    return fail(Errc::internal, "read " + std::string(what) + " of the monitor: it is no JSON object");
  return document;
}

json error_json(const Error& error) {
  return {{"code", errc_name(error.code)},
          {"message", encode_bytes(error.message)},
          {"hint", encode_bytes(error.hint)},
          {"exit_code", error.exit_code}};
}

Error error_of(const json& document) {
  Error error;
  error.message = text_field(document, "message");
  error.hint = text_field(document, "hint");
  error.exit_code = field(document, "exit_code", 0);
  std::string code = text_field(document, "code");
  for (int candidate = 0; candidate <= static_cast<int>(Errc::internal); ++candidate)
    if (errc_name(static_cast<Errc>(candidate)) == code) error.code = static_cast<Errc>(candidate);
  if (error.message.empty()) error.message = "ask the container's monitor: it refused without a reason";
  return error;
}

}  // namespace

std::string encode_error(const Error& error) { return error_json(error).dump(); }
Error decode_error(std::string_view text) { return error_of(json::parse(text, nullptr, false)); }

std::string encode_exit(const ExitInfo& exit) {
  return json{{"exit_code", exit.exit_code},
              {"signal", exit.signal},
              {"oom_killed", exit.oom_killed},
              {"error", encode_bytes(exit.error)}}
      .dump();
}

Result<ExitInfo> decode_exit(std::string_view text) {
  json document = TRY(parse_object(text, "the end"));
  return ExitInfo{.exit_code = field(document, "exit_code", 0),
                  .signal = field(document, "signal", 0),
                  .oom_killed = field(document, "oom_killed", false),
                  .error = text_field(document, "error")};
}

std::string encode_stop(const StopRequest& request) {
  json document = {{"signal", request.signal}};
  if (request.timeout) document["timeout_ms"] = request.timeout->count();
  return document.dump();
}

Result<StopRequest> decode_stop(std::string_view text) {
  json document = TRY(parse_object(text, "a stop"));
  StopRequest request;
  request.signal = field(document, "signal", 0);
  if (has(document, "timeout_ms"))
    request.timeout = std::chrono::milliseconds(field(document, "timeout_ms", int64_t{0}));
  return request;
}

std::string encode_start_line(const StartLine& line) {
  json document = {{"stage", line.stage}};
  if (line.error) document["error"] = error_json(*line.error);
  return document.dump() + "\n";
}

Result<StartLine> decode_start_line(std::string_view line) {
  json document = TRY(parse_object(line, "a stage"));
  StartLine out{.stage = text_field(document, "stage"), .error = {}};
  if (has(document, "error")) out.error = error_of(document["error"]);
  return out;
}

std::string encode_update(const UpdateOptions& update) {
  json document = json::object();
  if (update.cpus) document["cpus"] = *update.cpus;
  if (update.memory_bytes) document["memory_bytes"] = *update.memory_bytes;
  if (update.pids_limit) document["pids_limit"] = *update.pids_limit;
  if (update.restart) {
    document["restart"] = static_cast<int>(update.restart->kind);
    document["max_retries"] = update.restart->max_retries;
  }
  return document.dump();
}

Result<UpdateOptions> decode_update(std::string_view text) {
  json document = TRY(parse_object(text, "an update"));
  UpdateOptions update;
  if (has(document, "cpus")) update.cpus = field(document, "cpus", 0.0);
  if (has(document, "memory_bytes")) update.memory_bytes = field(document, "memory_bytes", uint64_t{0});
  if (has(document, "pids_limit")) update.pids_limit = field(document, "pids_limit", uint64_t{0});
  if (has(document, "restart")) {
    int kind = field(document, "restart", 0);
    if (kind < 0 || kind > static_cast<int>(RestartPolicy::Kind::unless_stopped))
      return fail(Errc::internal, "read an update of the monitor: there is no such restart policy");
    update.restart = RestartPolicy{static_cast<RestartPolicy::Kind>(kind), field(document, "max_retries", 0U)};
  }
  return update;
}

}  // namespace diatom
