// What goes in and out of a container's file system.
#include "capi/call.h"
#include "capi/options.h"
#include "runtime/json/documents.h"

using namespace diatom;
using namespace diatom::capi;

namespace {

// A function that reads or writes at a path of a container.
diatom_status at_path(diatom_runtime* runtime, const char* container, const char* path, diatom_error** error,
                      auto act) {
  return on_container(runtime, container, error, [&](Runtime& containers, std::string_view name) -> Result<> {
    std::string inside(TRY(text("path", path)));
    return act(containers, name, inside);
  });
}

// Between a path of a container and one of the host. `act`: Runtime&, container, inside, outside, CopyOptions.
diatom_status copy(diatom_runtime* runtime, const char* container, const char* path, const char* host_path,
                   const char* options, char** json, diatom_error** error, auto act) {
  clear(json);
  return at_path(runtime, container, path, error,
                 [&](Runtime& containers, std::string_view name, const std::string& inside) -> Result<> {
                   std::string outside(TRY(text("host_path", host_path)));
                   CopyOptions wanted = TRY(parse_copy(options_or_none(options)));
                   return give(json, copy_json(TRY(act(containers, name, inside, outside, wanted))));
                 });
}

}  // namespace

diatom_status diatom_container_copy_from(diatom_runtime* runtime, const char* container, const char* path,
                                         const char* host_path, const char* options, char** json,
                                         diatom_error** error) {
  return copy(runtime, container, path, host_path, options, json, error,
              [](Runtime& containers, auto name, auto& inside, auto& outside, auto& wanted) {
                return containers.copy_from(name, inside, outside, wanted);
              });
}

diatom_status diatom_container_copy_to(diatom_runtime* runtime, const char* container, const char* host_path,
                                       const char* path, const char* options, char** json, diatom_error** error) {
  return copy(runtime, container, path, host_path, options, json, error,
              [](Runtime& containers, auto name, auto& inside, auto& outside, auto& wanted) {
                return containers.copy_to(name, outside, inside, wanted);
              });
}

diatom_status diatom_container_read_archive(diatom_runtime* runtime, const char* container, const char* path,
                                            const char* options, int fd, char** json, diatom_error** error) {
  clear(json);
  return at_path(runtime, container, path, error,
                 [&](Runtime& containers, std::string_view name, const std::string& inside) -> Result<> {
                   CopyOptions copy = TRY(parse_copy(options_or_none(options)));
                   TRY(check_descriptor("fd", fd));
                   return give(json, copy_json(TRY(containers.read_archive(name, inside, fd, copy))));
                 });
}

diatom_status diatom_container_write_archive(diatom_runtime* runtime, const char* container, const char* path, int fd,
                                             char** json, diatom_error** error) {
  clear(json);
  return at_path(runtime, container, path, error,
                 [&](Runtime& containers, std::string_view name, const std::string& inside) -> Result<> {
                   TRY(check_descriptor("fd", fd));
                   return give(json, copy_json(TRY(containers.write_archive(name, fd, inside))));
                 });
}

diatom_status diatom_container_stat_path(diatom_runtime* runtime, const char* container, const char* path,
                                         const char* options, char** json, diatom_error** error) {
  clear(json);
  return at_path(runtime, container, path, error,
                 [&](Runtime& containers, std::string_view name, const std::string& inside) -> Result<> {
                   auto follow = parse_flag(options_or_none(options), "follow_link");
                   if (!follow) return std::unexpected(follow.error());
                   return give(json, path_json(TRY(containers.stat_path(name, inside, *follow))));
                 });
}

diatom_status diatom_container_export(diatom_runtime* runtime, const char* container, int fd, char** json,
                                      diatom_error** error) {
  clear(json);
  return on_container(runtime, container, error, [&](Runtime& containers, std::string_view name) -> Result<> {
    TRY(check_descriptor("fd", fd));
    return give(json, copy_json(TRY(containers.export_root(name, fd))));
  });
}

diatom_status diatom_container_diff(diatom_runtime* runtime, const char* container, char** json, diatom_error** error) {
  clear(json);
  return on_container(runtime, container, error, [&](Runtime& containers, std::string_view name) -> Result<> {
    return give(json, changes_json(TRY(containers.diff(name))));
  });
}

diatom_status diatom_container_commit(diatom_runtime* runtime, const char* container, const char* options, char** json,
                                      diatom_error** error) {
  clear(json);
  return on_container(runtime, container, error, [&](Runtime& containers, std::string_view name) -> Result<> {
    CommitOptions commit = TRY(parse_commit(options_or_none(options)));
    return give(json, committed_json(TRY(containers.commit(name, commit))));
  });
}
