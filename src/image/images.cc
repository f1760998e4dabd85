#include "diatom/images.h"

#include <algorithm>

#include "base/cancel.h"
#include "image/load.h"
#include "oci/manifest.h"
#include "oci/reference.h"
#include "store/content_store.h"
#include "store/store.h"

namespace diatom {

struct Images::Impl {
  std::unique_ptr<store::Store> store;
  CancelToken cancel;

  std::vector<ImageExtent> root_device(const store::ImageRecord& record) const {
    const store::Paths& paths = store->paths();
    std::vector<ImageExtent> extents = {{paths.image_metadata(record.id), record.metadata_bytes}};
    for (const auto& layer : record.layers)
      if (layer.data_bytes > 0) extents.push_back({paths.layer_data(layer.diff_id), layer.data_bytes});
    return extents;
  }

  Result<ImageInfo> info(const store::ImageRecord& record) const {
    ImageInfo info;
    info.id = "sha256:" + record.id;
    for (const auto& tag : record.tags) info.tags.push_back(oci::Reference::parse(tag)->familiar());
    info.manifest_digest = "sha256:" + record.manifest;
    info.loaded_ns = record.loaded_ns;
    for (const auto& layer : record.layers) {
      info.size_bytes += layer.tar_bytes;
      info.layers.push_back("sha256:" + layer.diff_id);
    }
    info.config_json = TRY(store::read_blob(store->paths(), oci::Digest::from_hex(record.id)));
    oci::ImageConfig config = TRY(oci::parse_config(info.config_json));
    info.created = config.created;
    info.architecture = config.platform.architecture;
    info.os = config.platform.os;
    info.root_device = root_device(record);
    return info;
  }
};

Images::Images(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Images::Images(Images&&) noexcept = default;
Images& Images::operator=(Images&&) noexcept = default;
Images::~Images() = default;

Result<Images> Images::open() {
  auto impl = std::make_unique<Impl>();
  impl->store = TRY(store::Store::open(store::default_paths()));
  return Images(std::move(impl));
}

Result<std::vector<LoadedImage>> Images::load(const std::string& path) {
  return image::load_archive(*impl_->store, path, impl_->cancel);
}

Result<std::vector<ImageInfo>> Images::list() {
  std::vector<ImageInfo> images;
  for (const auto& record : TRY(impl_->store->images().list())) images.push_back(TRY(impl_->info(record)));
  return images;
}

Result<ImageInfo> Images::inspect(std::string_view reference) {
  return impl_->info(TRY(impl_->store->images().find(reference)));
}

Result<ResolvedImage> Images::resolve(std::string_view reference) {
  store::ImageRecord record = TRY(impl_->store->images().find(reference));
  std::string text = TRY(store::read_blob(impl_->store->paths(), oci::Digest::from_hex(record.id)));
  oci::ImageConfig config = TRY(oci::parse_config(text));
  return ResolvedImage{"sha256:" + record.id,
                       {.entrypoint = std::move(config.entrypoint),
                        .cmd = std::move(config.cmd),
                        .env = std::move(config.env),
                        .working_dir = std::move(config.working_dir),
                        .user = std::move(config.user)},
                       impl_->root_device(record)};
}

Result<RemovedImage> Images::remove(std::string_view reference, bool force) {
  store::ImageStore& images = impl_->store->images();
  store::ImageRecord record = TRY(images.find(reference));
  std::string shown(reference);
  std::vector<std::string> going = record.tags;
  auto name = oci::Reference::parse(reference);
  bool by_name = name && std::ranges::find(record.tags, name->canonical()) != record.tags.end();
  if (by_name) going = {name->canonical()};
  RemovedImage removed;
  for (const auto& tag : going) removed.untagged.push_back(oci::Reference::parse(tag)->familiar());
  if (by_name && record.tags.size() > 1) {
    TRY(images.remove_tag(going.front()));
    return removed;
  }
  if (!by_name && record.tags.size() > 1 && !force)
    return fail(Errc::invalid_argument, "remove image " + shown + ": it has several names",
                "remove them one by one, or use --force");
  if (!force && TRY(impl_->store->containers().count_of_image(record.id)) > 0)
    return fail(Errc::invalid_argument, "remove image " + shown + ": a container was made from it",
                "remove the container first, or use --force");
  TRY(images.remove(record.id));
  TRY(impl_->store->sweep());
  removed.deleted = "sha256:" + record.id;
  return removed;
}

void Images::cancel() { impl_->cancel.cancel(); }

}  // namespace diatom
