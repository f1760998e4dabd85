// Images, and what comes of moving them.
#include <nlohmann/json.hpp>

#include "runtime/json/documents.h"

namespace diatom {

namespace {

// What docker always has in an image's Config: a template may name it though this image says nothing of it.
Json image_config(const Json& document) {
  static constexpr const char* texts[] = {"User", "WorkingDir"};
  static constexpr const char* lists[] = {"Env", "Cmd", "Entrypoint"};
  static constexpr const char* maps[] = {"ExposedPorts", "Volumes", "Labels"};
  Json config = Json::object();
  if (document.is_object() && document.contains("config") && document["config"].is_object())
    config = document["config"];
  for (const char* key : texts)
    if (!config.contains(key)) config[key] = "";
  for (const char* key : lists)
    if (!config.contains(key)) config[key] = nullptr;
  for (const char* key : maps)
    if (!config.contains(key)) config[key] = nullptr;
  return config;
}

std::string text_of(const Json& document, const char* key) {
  bool there = document.is_object() && document.contains(key) && document[key].is_string();
  return there ? document[key].get<std::string>() : "";
}

}  // namespace

Json image_json(const ImageInfo& image) {
  Json document = parse_foreign_json(image.config_json);
  Json device = Json::array();
  for (const ImageExtent& extent : image.root_device)
    device.push_back({{"Path", extent.path}, {"Bytes", extent.bytes}});
  return {{"Id", image.id},
          {"RepoTags", image.tags},
          {"RepoDigests", image.digests},
          {"Manifest", image.manifest_digest},
          {"Created", image.created},
          {"Loaded", json_time(image.loaded_ns)},
          {"Author", text_of(document, "author")},
          {"Architecture", image.architecture},
          {"Variant", image.variant},
          {"Os", image.os},
          {"Size", image.size_bytes},
          {"Config", image_config(document)},
          {"RootFS", {{"Type", "layers"}, {"Layers", image.layers}}},
          {"RootDevice", device}};
}

Json image_summary_json(const ImageInfo& image) {
  return {{"Id", image.id}, {"RepoTags", image.tags}, {"Created", image.created}, {"Size", image.size_bytes}};
}

Json history_json(const HistoryEntry& entry) {
  return {{"Id", entry.image_id},     {"Created", entry.created}, {"CreatedBy", entry.created_by},
          {"Comment", entry.comment}, {"Size", entry.size_bytes}, {"EmptyLayer", entry.empty_layer}};
}

Json loaded_image_json(const LoadedImage& image) { return {{"id", image.id}, {"tags", image.tags}}; }

Json pulled_image_json(const PulledImage& image) {
  return {{"id", image.id}, {"reference", image.reference}, {"digest", image.digest}, {"fetched", image.fetched}};
}

Json pushed_image_json(const PushedImage& image) {
  return {{"reference", image.reference}, {"digest", image.digest}, {"size_bytes", image.size_bytes}};
}

Json removed_image_json(const RemovedImage& image) {
  return {{"untagged", image.untagged}, {"deleted", image.deleted}};
}

Json pruned_images_json(const PrunedImages& images) {
  Json removed = Json::array();
  for (const RemovedImage& image : images.removed) removed.push_back(removed_image_json(image));
  return {{"removed", removed}, {"freed_bytes", images.freed_bytes}};
}

std::string_view transfer_phase_name(TransferProgress::Phase phase) {
  using Phase = TransferProgress::Phase;
  switch (phase) {
    case Phase::waiting:
      return "waiting";
    case Phase::exists:
      return "exists";
    case Phase::downloading:
      return "downloading";
    case Phase::uploading:
      return "uploading";
    case Phase::mounted:
      return "mounted";
    case Phase::retrying:
      return "retrying";
    case Phase::done:
      return "done";
  }
  return "";
}

Json progress_json(const TransferProgress& progress, std::string_view status) {
  using Phase = TransferProgress::Phase;
  Json document = {{"id", progress.id}};
  if (!status.empty()) document["status"] = status;
  document["phase"] = transfer_phase_name(progress.phase);
  if (!progress.note.empty()) document["note"] = progress.note;
  bool moves_bytes = progress.phase == Phase::downloading || progress.phase == Phase::uploading;
  document["progressDetail"] = Json::object();
  if (moves_bytes) document["progressDetail"] = {{"current", progress.done_bytes}, {"total", progress.total_bytes}};
  return document;
}

}  // namespace diatom
