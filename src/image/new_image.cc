#include "image/new_image.h"

#include <fmt/format.h>

#include <ctime>

#include "base/clock.h"
#include "image/events.h"
#include "oci/reference.h"
#include "store/content_store.h"

namespace diatom::image {

namespace {

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

}  // namespace

Result<KeptLayer> keep_layer(const store::Paths& paths, rootfs::ByteSource& source, std::string_view name,
                             const CancelToken& cancel) {
  Kept kept(source, TRY(store::BlobWriter::create(paths)));
  rootfs::LayerLimits limits = TRY(layer_limits());
  NewLayer layer = TRY(convert_layer(paths, kept, name, limits, cancel));
  store::Blob blob = TRY(kept.finish());
  return KeptLayer{
      std::move(layer),
      {.media_type = kept.media_type(), .digest = blob.digest, .size = blob.size, .annotations = {}, .platform = {}}};
}

std::string created_now() {
  time_t now = wall_clock_ns() / 1'000'000'000;
  tm parts{};
  ::gmtime_r(&now, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

Result<std::vector<std::string>> chosen_tags(std::string_view what, const std::string& reference) {
  if (reference.empty()) return std::vector<std::string>();
  oci::Reference name = TRY(oci::Reference::parse(reference));
  if (!name.digest.empty())
    return fail(Errc::invalid_argument, std::string(what) + ": a digest cannot be chosen", "name a tag");
  return std::vector{name.canonical()};
}

Result<std::string> put_new_image(store::Store& store, NewImage image, const std::vector<std::string>& actions,
                                  const CancelToken& cancel) {
  const store::Paths& paths = store.paths();
  store::Blob config = TRY(store::put_blob(paths, image.config));
  oci::Manifest manifest{.media_type = std::string(oci::media_type::manifest),
                         .config = {.media_type = std::string(oci::media_type::config),
                                    .digest = config.digest,
                                    .size = config.size,
                                    .annotations = {},
                                    .platform = {}},
                         .layers = std::move(image.blobs)};
  store::Blob manifest_blob = TRY(store::put_blob(paths, oci::print_manifest(manifest)));
  store::ImageRecord record = TRY(build_image(paths, config.digest, std::move(image.layers), cancel));
  record.manifest = manifest_blob.digest.hex();
  record.loaded_ns = wall_clock_ns();
  record.tags = std::move(image.tags);
  std::string id = config.digest.text();
  std::vector<Event> events;
  for (const std::string& action : actions) {
    std::string name = action == "tag" ? oci::Reference::parse(record.tags.front())->familiar() : id;
    events.push_back(image_event(paths, action, id, std::move(name), record.id));
  }
  TRY(store.images().put(record, events));
  return id;
}

}  // namespace diatom::image
