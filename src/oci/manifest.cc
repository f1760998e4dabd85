#include "oci/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json_shape.h"

namespace diatom::oci {

namespace {

using nlohmann::json;

// No honest document has more: keeps a hostile one from costing much.
constexpr size_t most_entries = 4096;

constexpr std::string_view layer_types[] = {
    media_type::layer_tar,
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
};

// One JSON object; remembers the first field that is wrong.
class Object {
 public:
  Object(std::string_view what, const json& value) : what_(what), value_(value) {
    if (!value_.is_object()) wrong_ = "it is no JSON object";
  }

  const json* find(const char* name) const {
    if (!value_.is_object()) return nullptr;
    auto found = value_.find(name);
    return found == value_.end() || found->is_null() ? nullptr : &*found;
  }
  std::string text(const char* name) {
    const json* field = find(name);
    if (field == nullptr) return "";
    if (field->is_string()) return field->get<std::string>();
    wrong(name, "is no string");
    return "";
  }
  std::vector<std::string> texts(const char* name) {
    std::vector<std::string> out;
    for (const json& entry : list(name)) {
      if (!entry.is_string()) {
        wrong(name, "has an entry that is no string");
        break;
      }
      out.push_back(entry.get<std::string>());
    }
    return out;
  }
  // A map of strings; what is none of that is passed over, as docker does.
  std::map<std::string, std::string> words(const char* name) const {
    std::map<std::string, std::string> out;
    const json* field = find(name);
    if (field == nullptr || !field->is_object() || field->size() > most_entries) return out;
    for (const auto& [key, entry] : field->items())
      if (entry.is_string()) out[key] = entry.get<std::string>();
    return out;
  }
  // The names of an object whose values say nothing ({"80/tcp": {}}); what is no object has none.
  std::vector<std::string> keys(const char* name) const {
    std::vector<std::string> out;
    const json* field = find(name);
    if (field == nullptr || !field->is_object() || field->size() > most_entries) return out;
    for (const auto& [key, entry] : field->items()) out.push_back(key);
    return out;
  }
  bool flag(const char* name) const {
    const json* field = find(name);
    return field != nullptr && field->is_boolean() && field->get<bool>();
  }
  int64_t count(const char* name) {
    const json* field = find(name);
    if (field == nullptr) return 0;
    if (field->is_number_unsigned() && field->get<uint64_t>() <= INT64_MAX) return field->get<int64_t>();
    wrong(name, "is no count");
    return 0;
  }
  const json& list(const char* name) {
    static const json none = json::array();
    const json* field = find(name);
    if (field == nullptr) return none;
    if (field->is_array() && field->size() <= most_entries) return *field;
    wrong(name, field->is_array() ? "is too long" : "is no array");
    return none;
  }
  // Old tools leave it out; what says another number means something else.
  void check_schema() {
    const json* version = find("schemaVersion");
    if (version != nullptr && *version != 2) wrong("schemaVersion", "is not 2");
  }
  // A document that can be read both as a manifest and as an index is two images under one digest: whoever sends it
  // chooses which one by a header that no digest covers (CVE-2021-41190). Its media type is also sent on as it is.
  void check_kind(bool (*is_right)(std::string_view), std::initializer_list<const char*> others) {
    if (std::string type = text("mediaType"); !type.empty() && !is_right(type)) wrong("mediaType", "is another's");
    for (const char* name : others)
      if (find(name) != nullptr) wrong(name, "does not belong here");
  }
  void wrong(std::string_view name, std::string_view why) {
    if (wrong_.empty()) wrong_ = "\"" + std::string(name) + "\" " + std::string(why);
  }
  Result<> result() const {
    if (wrong_.empty()) return {};
    return fail(Errc::invalid_argument, "read " + what_ + ": " + wrong_);
  }

 private:
  std::string what_;
  const json& value_;
  std::string wrong_;
};

Platform read_platform(Object& object) {
  return {object.text("os"), object.text("architecture"), object.text("variant")};
}

Result<Descriptor> parse_descriptor(std::string_view what, const json& value) {
  Object object(what, value);
  Descriptor descriptor;
  descriptor.media_type = object.text("mediaType");
  std::string digest = object.text("digest");
  const json* size = object.find("size");
  if (size == nullptr || !size->is_number_unsigned())
    object.wrong("size", "is no size");
  else
    descriptor.size = size->get<uint64_t>();
  descriptor.annotations = object.words("annotations");
  if (const json* platform = object.find("platform")) {
    Object fields("platform", *platform);
    descriptor.platform = read_platform(fields);
    TRY(fields.result());
  }
  TRY(object.result());
  descriptor.digest = TRY(Digest::parse(digest));
  return descriptor;
}

Result<Healthcheck> parse_healthcheck(const json& value) {
  Object fields("image config: Healthcheck", value);
  Healthcheck check{.test = fields.texts("Test"),
                    .interval_ns = fields.count("Interval"),
                    .timeout_ns = fields.count("Timeout"),
                    .start_period_ns = fields.count("StartPeriod"),
                    .retries = fields.count("Retries")};
  TRY(fields.result());
  return check;
}

// Before anything is parsed. What is no JSON at all is found out by whoever expects an object.
Result<> check_shape(std::string_view what, std::string_view text) {
  JsonShape shape = json_shape(text);
  if (shape.depth > deepest_json)
    return fail(Errc::invalid_argument,
                "read " + std::string(what) + ": deeper than " + std::to_string(deepest_json) + " levels");
  if (shape.values > most_json_values)
    return fail(Errc::invalid_argument,
                "read " + std::string(what) + ": more than " + std::to_string(most_json_values) + " values");
  return {};
}

json parse_json(std::string_view text) { return json::parse(text, nullptr, false); }

}  // namespace

bool is_index_type(std::string_view type) { return type == media_type::index || type == media_type::docker_list; }
bool is_manifest_type(std::string_view type) {
  return type == media_type::manifest || type == media_type::docker_manifest;
}
bool is_layer_type(std::string_view type) { return std::ranges::find(layer_types, type) != std::end(layer_types); }

Result<Index> parse_index(std::string_view text) {
  TRY(check_shape("image index", text));
  json document = parse_json(text);
  Object object("image index", document);
  object.check_schema();
  object.check_kind(is_index_type, {"config", "layers", "fsLayers"});
  Index index;
  for (const json& entry : object.list("manifests"))
    index.manifests.push_back(TRY(parse_descriptor("image index: manifests", entry)));
  TRY(object.result());
  return index;
}

Result<Manifest> parse_manifest(std::string_view text) {
  TRY(check_shape("manifest", text));
  json document = parse_json(text);
  Object object("manifest", document);
  object.check_schema();
  Manifest manifest;
  manifest.media_type = object.text("mediaType");
  TRY(object.result());
  const json* config = object.find("config");
  if (config == nullptr) return fail(Errc::invalid_argument, "read manifest: it has no config");
  object.check_kind(is_manifest_type, {"manifests", "fsLayers"});
  manifest.config = TRY(parse_descriptor("manifest: config", *config));
  for (const json& entry : object.list("layers"))
    manifest.layers.push_back(TRY(parse_descriptor("manifest: layers", entry)));
  TRY(object.result());
  return manifest;
}

Result<ImageConfig> parse_config(std::string_view text) {
  TRY(check_shape("image config", text));
  json document = parse_json(text);
  Object object("image config", document);
  ImageConfig config;
  config.platform = read_platform(object);
  config.created = object.text("created");
  TRY(object.result());
  if (const json* runtime = object.find("config")) {
    Object fields("image config: config", *runtime);
    config.env = fields.texts("Env");
    config.entrypoint = fields.texts("Entrypoint");
    config.cmd = fields.texts("Cmd");
    config.working_dir = fields.text("WorkingDir");
    config.user = fields.text("User");
    config.stop_signal = fields.text("StopSignal");
    config.labels = fields.words("Labels");
    if (const json* check = fields.find("Healthcheck")) config.healthcheck = TRY(parse_healthcheck(*check));
    config.exposed_ports = fields.keys("ExposedPorts");
    TRY(fields.result());
  }
  const json* rootfs = object.find("rootfs");
  if (rootfs == nullptr) return fail(Errc::invalid_argument, "read image config: it has no rootfs");
  Object fields("image config: rootfs", *rootfs);
  if (fields.text("type") != "layers") fields.wrong("type", "is not \"layers\"");
  auto diff_ids = fields.texts("diff_ids");
  TRY(fields.result());
  for (const auto& diff_id : diff_ids) config.diff_ids.push_back(TRY(Digest::parse(diff_id)));
  for (const json& entry : object.list("history")) {
    Object step("image config: history", entry);
    config.history.push_back(
        {step.text("created"), step.text("created_by"), step.text("comment"), step.flag("empty_layer")});
    TRY(step.result());
  }
  TRY(object.result());
  return config;
}

Result<std::vector<DockerArchiveImage>> parse_docker_archive(std::string_view text) {
  TRY(check_shape("manifest.json", text));
  json document = parse_json(text);
  if (!document.is_array() || document.size() > most_entries)
    return fail(Errc::invalid_argument, "read manifest.json: it is no JSON array");
  std::vector<DockerArchiveImage> images;
  for (const json& entry : document) {
    Object object("manifest.json", entry);
    DockerArchiveImage& image = images.emplace_back();
    image.config = object.text("Config");
    image.repo_tags = object.texts("RepoTags");
    image.layers = object.texts("Layers");
    if (image.config.empty()) object.wrong("Config", "is missing");
    TRY(object.result());
  }
  return images;
}

std::string print_manifest(const Manifest& manifest) {
  auto print = [](const Descriptor& descriptor) {
    return json{{"mediaType", descriptor.media_type}, {"digest", descriptor.digest.text()}, {"size", descriptor.size}};
  };
  json layers = json::array();
  for (const Descriptor& layer : manifest.layers) layers.push_back(print(layer));
  return json{
      {"schemaVersion", 2}, {"mediaType", manifest.media_type}, {"config", print(manifest.config)}, {"layers", layers}}
      .dump();
}

}  // namespace diatom::oci
