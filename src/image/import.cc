// import: the tar of a root file system becomes an image of one layer, config and manifest written for it.
#include "image/import.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "image/archive.h"
#include "image/changes.h"
#include "image/documents.h"
#include "image/events.h"
#include "image/unpack.h"
#include "oci/reference.h"

namespace diatom::image {

namespace {

using nlohmann::json;

// Keeps what it hands on as a blob.
class Kept final : public rootfs::ByteSource {
 public:
  Kept(rootfs::ByteSource& source, store::BlobWriter writer) : source_(source), writer_(std::move(writer)) {}
  Result<size_t> read(std::span<std::byte> out) override {
    size_t got = TRY(source_.read(out));
    if (first_.size() < 4) first_.append(reinterpret_cast<const char*>(out.data()), std::min<size_t>(got, 4));
    TRY(writer_.write(out.first(got)));
    return got;
  }
  Result<store::Blob> finish() {
    std::vector<std::byte> rest(64 << 10);
    while (TRY(read(rest)) > 0) {
    }
    return writer_.commit();
  }
  std::string media_type() const {
    std::string type(oci::media_type::layer_tar);
    if (first_.starts_with("\x1f\x8b")) return type + "+gzip";
    return first_.starts_with("\x28\xb5\x2f\xfd") ? type + "+zstd" : type;
  }

 private:
  rootfs::ByteSource& source_;
  store::BlobWriter writer_;
  std::string first_;
};

std::string rfc3339_now() {
  time_t now = wall_clock_ns() / 1'000'000'000;
  tm parts{};
  ::gmtime_r(&now, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

Result<std::string> make_config(const oci::Platform& platform, const std::string& diff_id, const std::string& source,
                                const ImportOptions& options) {
  std::string now = rfc3339_now();
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
  const store::Paths& paths = store.paths();
  oci::Platform platform = host_platform();
  if (!options.platform.empty()) platform = TRY(oci::parse_platform(options.platform));
  std::vector<std::string> tags;
  if (!options.reference.empty()) {
    oci::Reference name = TRY(oci::Reference::parse(options.reference));
    if (!name.digest.empty())
      return fail(Errc::invalid_argument, "import " + path + ": a digest cannot be chosen", "name a tag");
    tags = {name.canonical()};
  }
  // What is wrong with the changes is said before anything is read.
  TRY(apply_changes("{}", options.changes));

  auto file = TRY(open_stream(path, cancel));
  Kept source(*file, TRY(store::BlobWriter::create(paths)));
  rootfs::LayerLimits limits = TRY(layer_limits());
  std::string name = path == "-" ? "(standard input)" : path;
  NewLayer layer = TRY(convert_layer(paths, source, name, limits, cancel));
  store::Blob blob = TRY(source.finish());

  oci::Manifest manifest;
  manifest.media_type = oci::media_type::manifest;
  manifest.layers = {
      {.media_type = source.media_type(), .digest = blob.digest, .size = blob.size, .annotations = {}, .platform = {}}};
  std::string config = TRY(make_config(platform, layer.info.diff_id, path, options));
  store::Blob config_blob = TRY(store::put_blob(paths, config));
  manifest.config = {.media_type = std::string(oci::media_type::config),
                     .digest = config_blob.digest,
                     .size = config_blob.size,
                     .annotations = {},
                     .platform = {}};
  store::Blob manifest_blob = TRY(store::put_blob(paths, oci::print_manifest(manifest)));
  store::LayerRecord layer_record = TRY(commit_layer(paths, std::move(layer), blob.digest));
  store::ImageRecord record = TRY(build_image(paths, config_blob.digest, {layer_record}, cancel));
  record.manifest = manifest_blob.digest.hex();
  record.loaded_ns = wall_clock_ns();
  record.tags = tags;
  std::string id = config_blob.digest.text();
  TRY(store.images().put(record, {image_event(paths, "import", id, id, record.id)}));
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
