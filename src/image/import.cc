// import: the tar of a root file system becomes an image of one layer, config and manifest written for it.
#include "image/import.h"

#include <nlohmann/json.hpp>

#include "image/archive.h"
#include "image/changes.h"
#include "image/documents.h"
#include "image/new_image.h"
#include "oci/reference.h"

namespace diatom::image {

namespace {

using nlohmann::json;

Result<std::string> make_config(const oci::Platform& platform, const std::string& diff_id, const std::string& source,
                                const ImportOptions& options) {
  std::string now = created_now();
  json step = {{"created", now}, {"comment", options.message.empty() ? "Imported from " + source : options.message}};
  json config = {{"architecture", platform.architecture},
                 {"os", platform.os},
                 {"created", now},
                 {"config", json::object()},
                 {"history", {step}},
                 {"rootfs", {{"type", "layers"}, {"diff_ids", {diff_id}}}}};
  if (!platform.variant.empty()) config["variant"] = platform.variant;
  return apply_changes(config.dump(-1, ' ', false, json::error_handler_t::replace), options.changes);
}

Result<LoadedImage> import_locked(store::Store& store, const std::string& path, const ImportOptions& options,
                                  const CancelToken& cancel) {
  oci::Platform platform = host_platform();
  if (!options.platform.empty()) platform = TRY(oci::parse_platform(options.platform));
  std::vector<std::string> tags = TRY(chosen_tags("import " + path, options.reference));
  // What is wrong with the changes is said before anything is read.
  TRY(apply_changes("{}", options.changes));

  auto file = TRY(open_stream(path, cancel));
  KeptLayer kept = TRY(keep_layer(store.paths(), *file, path == "-" ? "(standard input)" : path, cancel));
  std::string config = TRY(make_config(platform, kept.layer.info.diff_id, path, options));
  store::LayerRecord layer = TRY(commit_layer(store.paths(), std::move(kept.layer), kept.blob.digest));
  std::string id = TRY(
      put_new_image(store, {std::move(config), {std::move(kept.blob)}, {std::move(layer)}, tags}, {"import"}, cancel));
  LoadedImage loaded{std::move(id), {}};
  for (const std::string& tag : tags) loaded.tags.push_back(oci::Reference::parse(tag)->familiar());
  return loaded;
}

}  // namespace

Result<LoadedImage> import_rootfs(store::Store& store, const std::string& path, const ImportOptions& options,
                                  const CancelToken& cancel) {
  FileLock lock = TRY(store.lock_for_adding(cancel));
  return import_locked(store, path, options, cancel);
}

}  // namespace diatom::image
