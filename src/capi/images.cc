#include "capi/call.h"
#include "capi/options.h"
#include "runtime/json/documents.h"

using namespace diatom;
using namespace diatom::capi;

diatom_status diatom_image_pull(diatom_runtime* runtime, const char* reference, const char* options,
                                diatom_progress_callback progress, void* user, char** json, diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string_view name = TRY(text("reference", reference));
    PullWish wish = TRY(parse_pull(options_or_none(options)));
    wish.pull.on_progress = progress_handler(progress, user);
    Images* images = TRY(self.images());
    if (wish.all_tags) return give(json, list_of(TRY(images->pull_all_tags(name, wish.pull)), pulled_image_json));
    return give(json, pulled_image_json(TRY(images->pull(name, wish.pull))));
  });
}

diatom_status diatom_image_push(diatom_runtime* runtime, const char* reference, const char* options,
                                diatom_progress_callback progress, void* user, char** json, diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string_view name = TRY(text("reference", reference));
    PushOptions push = TRY(parse_push(options_or_none(options)));
    push.on_progress = progress_handler(progress, user);
    Images* images = TRY(self.images());
    return give(json, pushed_image_json(TRY(images->push(name, push))));
  });
}

diatom_status diatom_image_list(diatom_runtime* runtime, char** json, diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    Images* images = TRY(self.images());
    return give(json, list_of(TRY(images->list()), image_summary_json));
  });
}

diatom_status diatom_image_inspect(diatom_runtime* runtime, const char* reference, char** json, diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string_view name = TRY(text("reference", reference));
    Images* images = TRY(self.images());
    return give(json, image_json(TRY(images->inspect(name))));
  });
}

diatom_status diatom_image_history(diatom_runtime* runtime, const char* reference, char** json, diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string_view name = TRY(text("reference", reference));
    Images* images = TRY(self.images());
    return give(json, list_of(TRY(images->history(name)), history_json));
  });
}

diatom_status diatom_image_tag(diatom_runtime* runtime, const char* source, const char* target, diatom_error** error) {
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string_view from = TRY(text("source", source));
    std::string_view to = TRY(text("target", target));
    Images* images = TRY(self.images());
    return images->tag(from, to);
  });
}

diatom_status diatom_image_remove(diatom_runtime* runtime, const char* reference, const char* options, char** json,
                                  diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string_view name = TRY(text("reference", reference));
    auto force = parse_flag(options_or_none(options), "force");
    if (!force) return std::unexpected(force.error());
    Images* images = TRY(self.images());
    return give(json, removed_image_json(TRY(images->remove(name, *force))));
  });
}

diatom_status diatom_image_prune(diatom_runtime* runtime, const char* options, char** json, diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    PruneOptions prune = TRY(parse_image_prune(options_or_none(options)));
    Images* images = TRY(self.images());
    return give(json, pruned_images_json(TRY(images->prune(prune))));
  });
}

diatom_status diatom_image_save(diatom_runtime* runtime, const char* const* references, int fd, diatom_error** error) {
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::vector<std::string> names = TRY(list("references", references));
    TRY(check_descriptor("fd", fd));
    Images* images = TRY(self.images());
    return images->save(names, fd);
  });
}

diatom_status diatom_image_load(diatom_runtime* runtime, const char* path, char** json, diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string from(TRY(text("path", path)));
    Images* images = TRY(self.images());
    return give(json, list_of(TRY(images->load(from)), loaded_image_json));
  });
}

diatom_status diatom_image_import(diatom_runtime* runtime, const char* path, const char* options, char** json,
                                  diatom_error** error) {
  clear(json);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string from(TRY(text("path", path)));
    ImportOptions import = TRY(parse_import(options_or_none(options)));
    Images* images = TRY(self.images());
    return give(json, loaded_image_json(TRY(images->import_rootfs(from, import))));
  });
}
