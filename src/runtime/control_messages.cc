#include "runtime/control_messages.h"

#include "channel/json_fields.h"
#include "runtime/spec_record.h"

namespace diatom {

namespace {

using channel::decode_fields;
using channel::encode_fields;

// An Error, with its kind by name.
struct Told {
  std::string code, message, hint;
  int exit_code = 0;
};
constexpr auto error_fields = [](auto& field, auto& told) {
  field("code", told.code);
  field("message", told.message);
  field("hint", told.hint);
  field("exit_code", told.exit_code);
};

Told tell(const Error& error) {
  return {std::string(errc_name(error.code)), error.message, error.hint, error.exit_code};
}

Error hear(Told told) {
  Error error{Errc::internal, std::move(told.message), std::move(told.hint), told.exit_code};
  for (int candidate = 0; candidate <= static_cast<int>(Errc::internal); ++candidate)
    if (errc_name(static_cast<Errc>(candidate)) == told.code) error.code = static_cast<Errc>(candidate);
  if (error.message.empty()) error.message = "ask the container's monitor: it refused without a reason";
  return error;
}

struct Line {
  std::string stage;
  std::optional<Told> error;
};
constexpr auto line_fields = [](auto& field, auto& line) {
  field("stage", line.stage);
  field.optional("error", line.error, error_fields);
};

constexpr auto exit_fields = [](auto& field, auto& exit) {
  field("exit_code", exit.exit_code);
  field("signal", exit.signal);
  field("oom_killed", exit.oom_killed);
  field("error", exit.error);
};

constexpr auto stop_fields = [](auto& field, auto& request) {
  field("signal", request.signal);
  field("timeout_ms", request.timeout);
};

struct Save {
  std::string folder;
  bool share_memory = false;
};
constexpr auto save_fields = [](auto& field, auto& save) {
  field("folder", save.folder);
  field("share_memory", save.share_memory);
};

constexpr auto update_fields = [](auto& field, auto& update) {
  field("cpus", update.cpus);
  field("memory_bytes", update.memory_bytes);
  field("pids_limit", update.pids_limit);
  field.optional("restart", update.restart, restart_fields);
};

}  // namespace

std::string encode_error(const Error& error) { return encode_fields(tell(error), error_fields); }
Error decode_error(std::string_view text) {
  return hear(decode_fields<Told>("an error of the monitor", text, error_fields).value_or(Told()));
}

std::string encode_exit(const ExitInfo& exit) { return encode_fields(exit, exit_fields); }
Result<ExitInfo> decode_exit(std::string_view text) {
  return decode_fields<ExitInfo>("the end of a container", text, exit_fields);
}

std::string encode_stop(const StopRequest& request) { return encode_fields(request, stop_fields); }
Result<StopRequest> decode_stop(std::string_view text) {
  return decode_fields<StopRequest>("a stop", text, stop_fields);
}

std::string encode_start_line(const StartLine& line) {
  Line told{line.stage, line.error ? std::optional(tell(*line.error)) : std::nullopt};
  return encode_fields(told, line_fields) + "\n";
}
Result<StartLine> decode_start_line(std::string_view text) {
  Line told = TRY(decode_fields<Line>("a stage of a start", text, line_fields));
  StartLine line{.stage = std::move(told.stage), .error = {}};
  if (told.error) line.error = hear(std::move(*told.error));
  return line;
}

std::string encode_save(const vm::SaveTarget& target) {
  return encode_fields(Save{target.folder.string(), target.share_memory}, save_fields);
}
Result<vm::SaveTarget> decode_save(std::string_view text) {
  Save save = TRY(decode_fields<Save>("where to save", text, save_fields));
  vm::SaveTarget target{save.folder, save.share_memory};
  if (target.folder.is_absolute()) return target;
  return fail(Errc::invalid_argument, "save VM: \"" + save.folder + "\" is no absolute path");
}

std::string encode_update(const UpdateOptions& update) { return encode_fields(update, update_fields); }
Result<UpdateOptions> decode_update(std::string_view text) {
  return decode_fields<UpdateOptions>("an update", text, update_fields);
}

}  // namespace diatom
