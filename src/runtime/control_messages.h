// What a container's monitor and its clients say to each other over the control socket, as JSON. Decoding is total.
// (docs/format/control.md)
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "diatom/runtime.h"
#include "vm/engine.h"

namespace diatom {

std::string encode_error(const Error& error);
Error decode_error(std::string_view text);  // what is no error's text becomes one that says so

std::string encode_exit(const ExitInfo& exit);
Result<ExitInfo> decode_exit(std::string_view text);

struct StopRequest {
  int signal = 0;                                    // 0: the container's own
  std::optional<std::chrono::milliseconds> timeout;  // until SIGKILL; the container's own when not given
};
std::string encode_stop(const StopRequest& request);
Result<StopRequest> decode_stop(std::string_view text);

// One line of GET /monitor/start: a stage that was reached, or the last one: it runs, or why not.
struct StartLine {
  std::string stage;
  std::optional<Error> error;
};
inline constexpr std::string_view started_stage = "started";
std::string encode_start_line(const StartLine& line);  // with its line end
Result<StartLine> decode_start_line(std::string_view line);

std::string encode_save(const vm::SaveTarget& target);
Result<vm::SaveTarget> decode_save(std::string_view text);

std::string encode_update(const UpdateOptions& update);
Result<UpdateOptions> decode_update(std::string_view text);

}  // namespace diatom
