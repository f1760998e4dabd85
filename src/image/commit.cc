#include "image/commit.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "image/changes.h"
#include "image/config_json.h"
#include "image/new_image.h"
#include "image/resolve.h"

namespace diatom::image {

namespace {

using nlohmann::json;

class PipeSource final : public rootfs::ByteSource {
 public:
  explicit PipeSource(int fd) : fd_(fd) {}
  Result<size_t> read(std::span<std::byte> out) override { return read_some(fd_, out); }

 private:
  int fd_;
};

json healthcheck_of(const HealthCheck& health) {
  json test = {"NONE"};
  if (!health.command.empty()) {
    test = {"CMD"};
    for (const std::string& word : health.command) test.push_back(word);
  }
  return {{"Test", test},
          {"Interval", health.interval.count()},
          {"Timeout", health.timeout.count()},
          {"StartPeriod", health.start_period.count()},
          {"Retries", health.retries}};
}

// What the spec says over what the image says.
void apply_spec(json& config, const ContainerSpec& spec) {
  if (spec.entrypoint) {
    config["Entrypoint"] = *spec.entrypoint;
    config.erase("Cmd");
  }
  if (!spec.args.empty()) config["Cmd"] = spec.args;
  for (const std::string& entry : spec.env) set_variable(config, entry);
  if (!spec.working_dir.empty()) config["WorkingDir"] = spec.working_dir;
  if (!spec.user.empty()) config["User"] = spec.user;
  if (!spec.stop_signal.empty()) config["StopSignal"] = spec.stop_signal;
  if (spec.health) config["Healthcheck"] = healthcheck_of(*spec.health);
  for (const auto& [key, value] : spec.labels) object_at(config, "Labels")[key] = value;
  for (const PortMapping& port : spec.ports)
    expose_port(config, std::to_string(port.container_port) + "/" + port.protocol);
  for (const std::string& port : spec.expose) expose_port(config, port);
}

Result<std::string> commit_locked(store::Store& store, const CommitInput& input, int layer_fd,
                                  const CancelToken& cancel) {
  const store::Paths& paths = store.paths();
  store::ImageRecord parent = TRY(store.images().find(input.parent));
  ReadConfig config = TRY(read_config(store, parent));
  std::string manifest_text = TRY(store::read_blob(paths, oci::Digest::from_hex(parent.manifest)));
  oci::Manifest manifest = TRY(oci::parse_manifest(manifest_text));
  std::vector<std::string> tags = TRY(chosen_tags("commit", input.options.reference));

  PipeSource source(layer_fd);
  KeptLayer kept = TRY(keep_layer(paths, source, "of the container's changes", cancel));
  NewImage image{.config = {}, .blobs = std::move(manifest.layers), .layers = std::move(parent.layers), .tags = tags};
  bool changed = kept.layer.info.entries > 0;
  image.config =
      TRY(commit_config(config.json, input, changed ? kept.layer.info.diff_id : std::string(), created_now()));
  if (changed) {
    image.blobs.push_back(kept.blob);
    image.layers.push_back(TRY(commit_layer(paths, std::move(kept.layer), kept.blob.digest)));
  }
  std::vector<std::string> actions;
  if (!tags.empty()) actions.emplace_back("tag");
  return put_new_image(store, std::move(image), actions, cancel);
}

}  // namespace

Result<> check_commit(const CommitOptions& options) {
  TRY(chosen_tags("commit", options.reference));
  TRY(apply_changes("{}", options.changes));
  return {};
}

Result<std::string> commit_config(const std::string& parent, const CommitInput& input, const std::string& diff_id,
                                  const std::string& created) {
  json document = json::parse(parent, nullptr, false);
  if (!document.is_object()) return fail(Errc::internal, "commit: the image's config is no JSON object");
  apply_spec(object_at(document, "config"), input.spec);
  document["created"] = created;
  document.erase("author");
  if (!input.options.author.empty()) document["author"] = input.options.author;
  // What docker keeps there of the container that its parent came from.
  document.erase("container");
  document.erase("container_config");
  std::string command;
  for (const std::string& word : input.command) command += (command.empty() ? "" : " ") + word;
  json step = {{"created", created}, {"created_by", command}};
  if (!input.options.author.empty()) step["author"] = input.options.author;
  if (!input.options.message.empty()) step["comment"] = input.options.message;
  if (diff_id.empty()) step["empty_layer"] = true;
  json& history = list_at(document, "history");
  // It may tell of fewer layers than there are; what is told of this one must not be taken for another's.
  size_t layers = list_at(object_at(document, "rootfs"), "diff_ids").size();
  auto told = static_cast<size_t>(std::ranges::count_if(
      history, [](const json& old) { return !old.is_object() || !old.value("empty_layer", false); }));
  for (; told < layers; ++told) history.push_back(json::object());
  history.push_back(step);
  if (!diff_id.empty()) {
    json& rootfs = object_at(document, "rootfs");
    rootfs["type"] = "layers";
    list_at(rootfs, "diff_ids").push_back(diff_id);
  }
  return apply_changes(document.dump(-1, ' ', false, json::error_handler_t::replace), input.options.changes);
}

Result<std::string> commit_image(store::Store& store, const CommitInput& input, int layer_fd,
                                 const CancelToken& cancel) {
  FileLock lock = TRY(store.lock_for_adding(cancel));
  return commit_locked(store, input, layer_fd, cancel);
}

}  // namespace diatom::image
