// image load: archive → blobs in the content store → layers → EROFS metadata → records.
#include "image/load.h"

#include <fmt/core.h>

#include <set>

#include "base/clock.h"
#include "image/archive.h"
#include "image/documents.h"
#include "image/events.h"
#include "image/unpack.h"
#include "oci/manifest.h"
#include "oci/reference.h"

namespace diatom::image {

namespace {

constexpr unsigned deepest_index = 4;  // an index of indexes of …: image-spec allows it, nobody needs more

// An image of the archive: everything by digest, in the content store.
struct Found {
  oci::Digest manifest_digest;
  oci::Manifest manifest;
  std::vector<std::string> names;  // canonical
};

bool fits_here(const oci::Platform& platform) { return oci::platform_fit(host_platform(), platform) > 0; }

// Names that are none by our grammar leave an image without a name rather than not loaded.
void add_name(std::vector<std::string>& names, const std::string& text) {
  auto reference = oci::Reference::parse(text);
  if (reference && reference->digest.empty()) names.push_back(reference->canonical());
}

std::vector<std::string> names_of(const oci::Descriptor& descriptor) {
  std::vector<std::string> names;
  // containerd and docker put the whole name into an annotation of their own, and the bare tag into OCI's.
  for (const char* key : {"io.containerd.image.name", "org.opencontainers.image.ref.name"})
    if (auto found = descriptor.annotations.find(key); found != descriptor.annotations.end() && names.empty())
      add_name(names, found->second);
  return names;
}

class Loader {
 public:
  Loader(store::Store& store, Archive& archive, const CancelToken& cancel)
      : store_(store), archive_(archive), cancel_(cancel) {}

  Result<std::vector<LoadedImage>> run(const std::string& path) {
    auto index = TRY(archive_.get("index.json"));
    if (index) {
      TRY(add_index(*index, {}, 0));
      if (found_.empty())
        return fail(Errc::invalid_argument,
                    fmt::format("load {}: no image in it is for linux/{}{}", path, host_platform().architecture,
                                skipped_.empty() ? "" : "; there is one for " + skipped_));
    } else {
      auto manifest = TRY(archive_.get("manifest.json"));
      if (!manifest)
        return fail(Errc::invalid_argument,
                    "load " + path + ": neither an OCI image layout (index.json) nor a docker archive (manifest.json)");
      TRY(add_docker_images(*manifest));
      if (found_.empty()) return fail(Errc::invalid_argument, "load " + path + ": there is no image in it");
    }
    std::vector<LoadedImage> loaded;
    for (const Found& image : found_) loaded.push_back(TRY(add_image(image)));
    return loaded;
  }

 private:
  Result<std::string> read(const store::Blob& blob) { return store::read_blob(store_.paths(), blob.digest); }

  // A blob of the layout, verified: what lies under a digest's name need not have it.
  Result<store::Blob> blob(const oci::Descriptor& descriptor) {
    auto found = TRY(archive_.get("blobs/sha256/" + descriptor.digest.hex()));
    if (!found)
      return fail(Errc::invalid_argument, "read blob " + descriptor.digest.text() + ": it is missing from the archive");
    if (found->digest != descriptor.digest)
      return fail(Errc::invalid_argument, fmt::format("read blob {}: wrong digest: the content's is {}",
                                                      descriptor.digest.text(), found->digest.text()));
    if (found->size != descriptor.size)
      return fail(Errc::invalid_argument, fmt::format("read blob {}: it has {} bytes, and its descriptor says {}",
                                                      descriptor.digest.text(), found->size, descriptor.size));
    return *found;
  }

  Result<> add_index(const store::Blob& index, const std::vector<std::string>& names, unsigned depth) {
    if (depth > deepest_index) return fail(Errc::invalid_argument, "read image index: nested too deeply");
    std::string text = TRY(read(index));
    for (const oci::Descriptor& entry : TRY(oci::parse_index(text)).manifests) {
      std::vector<std::string> own = names_of(entry);
      if (own.empty()) own = names;
      if (oci::is_index_type(entry.media_type)) {
        store::Blob nested = TRY(blob(entry));
        TRY(add_index(nested, own, depth + 1));
      } else if (oci::is_manifest_type(entry.media_type) || entry.media_type.empty()) {
        // Inside an index for many platforms, what is not for us is passed over; at the top it is what the user gave.
        if (!fits_here(entry.platform)) {
          skipped_ = oci::print_platform(entry.platform);
          continue;
        }
        TRY(add_manifest(entry, own));
      } else {
        return fail(Errc::invalid_argument,
                    fmt::format("read image index: unknown media type \"{}\"", entry.media_type.substr(0, 200)));
      }
    }
    return {};
  }

  Result<> add_manifest(const oci::Descriptor& descriptor, const std::vector<std::string>& names) {
    store::Blob found = TRY(blob(descriptor));
    std::string text = TRY(read(found));
    Found image{found.digest, TRY(oci::parse_manifest(text)), names};
    TRY(check_layer_types(found.digest.text(), image.manifest));
    TRY(blob(image.manifest.config));
    for (const oci::Descriptor& layer : image.manifest.layers) TRY(blob(layer));
    found_.push_back(std::move(image));
    return {};
  }

  // A docker archive has no manifest in OCI's sense: one is written for it.
  Result<> add_docker_images(const store::Blob& list) {
    std::string text = TRY(read(list));
    for (const oci::DockerArchiveImage& entry : TRY(oci::parse_docker_archive(text))) {
      Found image;
      image.manifest.media_type = oci::media_type::docker_manifest;
      image.manifest.config = TRY(file(entry.config, oci::media_type::docker_config));
      for (const std::string& layer : entry.layers)
        image.manifest.layers.push_back(TRY(file(layer, "application/vnd.docker.image.rootfs.diff.tar")));
      for (const std::string& tag : entry.repo_tags) add_name(image.names, tag);
      image.manifest_digest = TRY(store::put_blob(store_.paths(), oci::print_manifest(image.manifest))).digest;
      found_.push_back(std::move(image));
    }
    return {};
  }

  Result<oci::Descriptor> file(const std::string& path, std::string_view media_type) {
    auto found = TRY(archive_.get(path));
    if (!found)
      return fail(Errc::invalid_argument, "read \"" + path.substr(0, 200) + "\": it is missing from the archive");
    oci::Descriptor descriptor;
    descriptor.media_type = media_type;
    descriptor.digest = found->digest;
    descriptor.size = found->size;
    return descriptor;
  }

  Result<LoadedImage> add_image(const Found& image) {
    std::string text = TRY(store::read_blob(store_.paths(), image.manifest.config.digest));
    oci::ImageConfig config = TRY(oci::parse_config(text));
    std::string id = image.manifest.config.digest.text();
    if (!fits_here(config.platform))
      return fail(Errc::invalid_argument,
                  fmt::format("load image {}: it is for {}, and this host is {}", id,
                              oci::print_platform(config.platform), oci::print_platform(host_platform())));
    std::vector<PackedLayer> layers;
    for (const LayerPair& pair : TRY(pair_layers(id, image.manifest, config)))
      layers.push_back(stored_layer(store_.paths(), pair.diff_id, pair.blob,
                                    TRY(store_.images().is_recorded(pair.diff_id.hex(), pair.blob.digest.hex()))));
    auto records = TRY(unpack_layers(store_.paths(), layers, cancel_));
    store::ImageRecord record =
        TRY(build_image(store_.paths(), image.manifest.config.digest, std::move(records), cancel_));
    record.manifest = image.manifest_digest.hex();
    record.loaded_ns = wall_clock_ns();
    record.tags = image.names;
    TRY(store_.images().put(record, {image_event(store_.paths(), "load", id, id, record.id)}));
    LoadedImage loaded{id, {}};
    for (const std::string& name : image.names) loaded.tags.push_back(oci::Reference::parse(name)->familiar());
    return loaded;
  }

  store::Store& store_;
  Archive& archive_;
  const CancelToken& cancel_;
  std::vector<Found> found_;
  std::string skipped_;
};

Result<std::vector<LoadedImage>> load_locked(store::Store& store, const std::string& path, const CancelToken& cancel) {
  FileLock lock = TRY(store.lock_for_adding(cancel));
  auto archive = TRY(open_archive(path, store.paths(), cancel));
  return Loader(store, *archive, cancel).run(path);
}

}  // namespace

Result<std::vector<LoadedImage>> load_archive(store::Store& store, const std::string& path, const CancelToken& cancel) {
  auto loaded = load_locked(store, path, cancel);
  // Blobs that no image turned out to need, and what a failure left.
  auto swept = store.sweep();
  if (loaded && !swept) return std::unexpected(swept.error());
  return loaded;
}

}  // namespace diatom::image
