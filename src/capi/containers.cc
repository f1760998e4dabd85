// Containers as such: made, started, ended, looked at. (Programs that are joined to descriptors: processes.cc.)
#include "capi/call.h"
#include "capi/options.h"
#include "diatom/service.h"
#include "runtime/json/documents.h"

using namespace diatom;
using namespace diatom::capi;

namespace {

Result<WaitCondition> parse_condition(const char* condition) {
  static constexpr std::pair<std::string_view, WaitCondition> words[] = {{"not-running", WaitCondition::not_running},
                                                                         {"next-exit", WaitCondition::next_exit},
                                                                         {"removed", WaitCondition::removed}};
  std::string_view wanted = condition != nullptr ? condition : "not-running";
  for (auto [word, value] : words)
    if (word == wanted) return value;
  return fail(Errc::invalid_argument, "wait: there is no condition \"" + std::string(wanted.substr(0, 200)) + "\"",
              "one of not-running, next-exit, removed");
}

Json measured_json(const Result<ContainerStats>& stats) {
  if (stats) return stats_json(*stats);
  return {{"kind", errc_name(stats.error().code)}, {"message", stats.error().message}};
}

}  // namespace

diatom_status diatom_container_create(diatom_runtime* runtime, const char* document, diatom_progress_callback progress,
                                      void* user, char** json, diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string_view wanted = TRY(text("document", document));
    ContainerRequest request = TRY(parse_container_request(wanted));
    Runtime* containers = TRY(self.runtime());
    Images* images = TRY(self.images());
    PullOptions pull;
    pull.on_progress = progress_handler(progress, user);
    return give(json, created_json(TRY(create_container(*containers, *images, request, pull))));
  });
}

diatom_status diatom_container_start(diatom_runtime* runtime, const char* container, diatom_error** error) {
  return on_container(runtime, container, error,
                      [](Runtime& containers, std::string_view name) { return containers.start(name, {}); });
}

diatom_status diatom_container_stop(diatom_runtime* runtime, const char* container, const char* options,
                                    diatom_error** error) {
  return on_container(runtime, container, error, [&](Runtime& containers, std::string_view name) -> Result<> {
    StopOptions stop = TRY(parse_stop(options_or_none(options)));
    return containers.stop(name, stop);
  });
}

diatom_status diatom_container_restart(diatom_runtime* runtime, const char* container, const char* options,
                                       diatom_error** error) {
  return on_container(runtime, container, error, [&](Runtime& containers, std::string_view name) -> Result<> {
    StopOptions stop = TRY(parse_stop(options_or_none(options)));
    return containers.restart(name, stop);
  });
}

diatom_status diatom_container_kill(diatom_runtime* runtime, const char* container, const char* signal,
                                    diatom_error** error) {
  return on_container(runtime, container, error, [&](Runtime& containers, std::string_view name) {
    return containers.kill(name, signal != nullptr ? signal : "KILL");
  });
}

diatom_status diatom_container_pause(diatom_runtime* runtime, const char* container, diatom_error** error) {
  return on_container(runtime, container, error,
                      [](Runtime& containers, std::string_view name) { return containers.pause(name); });
}

diatom_status diatom_container_resume(diatom_runtime* runtime, const char* container, diatom_error** error) {
  return on_container(runtime, container, error,
                      [](Runtime& containers, std::string_view name) { return containers.resume(name); });
}

diatom_status diatom_container_resize(diatom_runtime* runtime, const char* container, uint16_t rows, uint16_t columns,
                                      diatom_error** error) {
  return on_container(runtime, container, error, [&](Runtime& containers, std::string_view name) {
    return containers.resize(name, rows, columns);
  });
}

diatom_status diatom_container_rename(diatom_runtime* runtime, const char* container, const char* name,
                                      diatom_error** error) {
  return on_container(runtime, container, error, [&](Runtime& containers, std::string_view old) -> Result<> {
    std::string wanted(TRY(text("name", name)));
    return containers.rename(old, wanted);
  });
}

diatom_status diatom_container_update(diatom_runtime* runtime, const char* container, const char* options, char** json,
                                      diatom_error** error) {
  clear(json);
  return on_container(runtime, container, error, [&](Runtime& containers, std::string_view name) -> Result<> {
    UpdateOptions update = TRY(parse_update(options_or_none(options)));
    return give(json, {{"warnings", TRY(containers.update(name, update))}});
  });
}

diatom_status diatom_container_wait(diatom_runtime* runtime, const char* container, const char* condition,
                                    int* exit_code, char** json, diatom_error** error) {
  clear(json, exit_code);
  return on_container(runtime, container, error, [&](Runtime& containers, std::string_view name) -> Result<> {
    WaitCondition wanted = TRY(parse_condition(condition));
    ExitInfo exit = TRY(containers.wait(name, wanted));
    if (exit_code != nullptr) *exit_code = exit.exit_code;
    return give(json, exit_json(exit));
  });
}

diatom_status diatom_container_remove(diatom_runtime* runtime, const char* container, const char* options,
                                      diatom_error** error) {
  return on_container(runtime, container, error, [&](Runtime& containers, std::string_view name) -> Result<> {
    auto force = parse_flag(options_or_none(options), "force");
    if (!force) return std::unexpected(force.error());
    TRY(containers.remove_container(name, *force));
    return {};
  });
}

diatom_status diatom_container_prune(diatom_runtime* runtime, const char* options, char** json, diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    PruneContainers prune = TRY(parse_container_prune(options_or_none(options)));
    Runtime* containers = TRY(self.runtime());
    return give(json, pruned_containers_json(TRY(containers->prune_containers(prune))));
  });
}

diatom_status diatom_container_list(diatom_runtime* runtime, const char* options, char** json, diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    auto all = parse_flag(options_or_none(options), "all");
    if (!all) return std::unexpected(all.error());
    Runtime* containers = TRY(self.runtime());
    return give(json, list_of(TRY(containers->containers(*all)), container_json));
  });
}

diatom_status diatom_container_inspect(diatom_runtime* runtime, const char* container, char** json,
                                       diatom_error** error) {
  clear(json);
  return on_container(runtime, container, error, [&](Runtime& containers, std::string_view name) -> Result<> {
    return give(json, container_json(TRY(containers.container(name))));
  });
}

diatom_status diatom_container_stats(diatom_runtime* runtime, const char* const* names, const char* options,
                                     char** json, diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::vector<std::string> wanted = TRY(list("containers", names));
    std::chrono::milliseconds deadline = TRY(parse_stats(options_or_none(options)));
    Runtime* containers = TRY(self.runtime());
    return give(json, list_of(TRY(containers->stats(wanted, deadline)), measured_json));
  });
}

diatom_status diatom_container_top(diatom_runtime* runtime, const char* container, char** json, diatom_error** error) {
  clear(json);
  return on_container(runtime, container, error, [&](Runtime& containers, std::string_view name) -> Result<> {
    return give(json, list_of(TRY(containers.top(name)), process_json));
  });
}
