// The options of the C API: JSON objects of the caller's. Total: any text gives options or an error that names the
// field; one that is not known is refused.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/error.h"
#include "diatom/events.h"
#include "diatom/images.h"
#include "diatom/locations.h"
#include "diatom/runtime.h"

namespace diatom::capi {

struct PullWish {
  PullOptions pull;
  bool all_tags = false;
};
struct JoinWish {
  bool forward_signals = false;
  std::string detach_keys = ProcessStreams().detach_keys;
  bool detach = false;  // of run only
};
struct ExecWish {
  ExecSpec spec;
  JoinWish join;
};

Result<Locations> parse_locations(std::string_view json);
Result<EventQuery> parse_event_query(std::string_view json);
Result<Credentials> parse_credentials(std::string_view json, RegistryAccess& access);
Result<PullWish> parse_pull(std::string_view json);
Result<PushOptions> parse_push(std::string_view json);
Result<PruneOptions> parse_image_prune(std::string_view json);
Result<ImportOptions> parse_import(std::string_view json);
Result<PruneContainers> parse_container_prune(std::string_view json);
Result<bool> parse_flag(std::string_view json, const char* name);  // one alone: "force", "all"
Result<JoinWish> parse_join(std::string_view json);
Result<JoinWish> parse_run(std::string_view json);
Result<ExecWish> parse_exec(std::string_view json);
Result<StopOptions> parse_stop(std::string_view json);
Result<UpdateOptions> parse_update(std::string_view json);
Result<CopyOptions> parse_copy(std::string_view json);
Result<CommitOptions> parse_commit(std::string_view json);
Result<LogQuery> parse_logs(std::string_view json);
Result<std::chrono::milliseconds> parse_stats(std::string_view json);  // the deadline

}  // namespace diatom::capi
