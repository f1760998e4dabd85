#include "image/commit.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "image/changes.h"
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

std::string_view key_of(std::string_view entry) { return entry.substr(0, entry.find('=')); }

// "K=V" over the image's, "K" takes the image's out: as for the container.
void set_environment(json& config, const std::vector<std::string>& env) {
  std::vector<std::string> merged;
  if (auto old = config.find("Env"); old != config.end() && old->is_array())
    for (const json& entry : *old)
      if (entry.is_string()) merged.push_back(entry.get<std::string>());
  for (const std::string& entry : env) {
    auto same = std::ranges::find(merged, key_of(entry), [](const std::string& other) { return key_of(other); });
    bool sets = entry.find('=') != std::string::npos;
    if (same != merged.end() && !sets)
      merged.erase(same);
    else if (same != merged.end())
      *same = entry;
    else if (sets)
      merged.push_back(entry);
  }
  if (!merged.empty()) config["Env"] = merged;
}

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
  set_environment(config, spec.env);
  if (!spec.working_dir.empty()) config["WorkingDir"] = spec.working_dir;
  if (!spec.user.empty()) config["User"] = spec.user;
  if (!spec.stop_signal.empty()) config["StopSignal"] = spec.stop_signal;
  if (spec.health) config["Healthcheck"] = healthcheck_of(*spec.health);
  json labels = json::object();
  if (auto old = config.find("Labels"); old != config.end() && old->is_object()) labels = *old;
  for (const auto& [key, value] : spec.labels) labels[key] = value;
  if (!labels.empty()) config["Labels"] = labels;
  json ports = json::object();
  if (auto old = config.find("ExposedPorts"); old != config.end() && old->is_object()) ports = *old;
  for (const PortMapping& port : spec.ports)
    ports[std::to_string(port.container_port) + "/" + port.protocol] = json::object();
  for (const std::string& port : spec.expose)
    ports[port.find('/') == std::string::npos ? port + "/tcp" : port] = json::object();
  if (!ports.empty()) config["ExposedPorts"] = ports;
}

json& member(json& document, const char* name, const json& empty) {
  json& value = document[name];
  if (value.type() != empty.type()) value = empty;
  return value;
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
  apply_spec(member(document, "config", json::object()), input.spec);
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
  json& history = member(document, "history", json::array());
  // It may tell of fewer layers than there are; what is told of this one must not be taken for another's.
  size_t layers = member(member(document, "rootfs", json::object()), "diff_ids", json::array()).size();
  auto told = static_cast<size_t>(std::ranges::count_if(
      history, [](const json& old) { return !old.is_object() || !old.value("empty_layer", false); }));
  for (; told < layers; ++told) history.push_back(json::object());
  history.push_back(step);
  if (!diff_id.empty()) {
    json& rootfs = member(document, "rootfs", json::object());
    rootfs["type"] = "layers";
    member(rootfs, "diff_ids", json::array()).push_back(diff_id);
  }
  return apply_changes(document.dump(-1, ' ', false, json::error_handler_t::replace), input.options.changes);
}

Result<std::string> commit_image(store::Store& store, const CommitInput& input, int layer_fd,
                                 const CancelToken& cancel) {
  FileLock lock = TRY(store.lock_for_adding(cancel));
  return commit_locked(store, input, layer_fd, cancel);
}

}  // namespace diatom::image
