#include "diatom/images.h"

#include <algorithm>

#include "base/cancel.h"
#include "image/import.h"
#include "image/load.h"
#include "image/pull.h"
#include "image/push.h"
#include "image/save.h"
#include "oci/manifest.h"
#include "oci/reference.h"
#include "store/content_store.h"
#include "store/store.h"

namespace diatom {

namespace {

std::vector<std::string> familiar(const std::vector<std::string>& canonical) {
  std::vector<std::string> names;
  for (const auto& name : canonical) names.push_back(oci::Reference::parse(name)->familiar());
  return names;
}

// "busybox" has the tag latest; what names a digest gets none.
Result<oci::Reference> parse_tag(std::string_view text) {
  oci::Reference name = TRY(oci::Reference::parse(text));
  if (name.digest.empty()) return name;
  return fail(Errc::invalid_argument, "tag image " + std::string(text) + ": a digest cannot be chosen", "name a tag");
}

}  // namespace

Result<PullPolicy> parse_pull_policy(std::string_view text) {
  static constexpr std::pair<std::string_view, PullPolicy> words[] = {{"always", PullPolicy::always},
                                                                      {"newer", PullPolicy::newer},
                                                                      {"missing", PullPolicy::missing},
                                                                      {"ifmissing", PullPolicy::missing},
                                                                      {"never", PullPolicy::never}};
  for (auto [word, policy] : words)
    if (word == text) return policy;
  return fail(Errc::invalid_argument, "parse pull policy \"" + std::string(text.substr(0, 200)) + "\"",
              "one of always, newer, missing, never");
}

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

  // Removed by another process since the record was read.
  Result<bool> has_gone(const store::ImageRecord& record) const {
    auto found = store->images().find("sha256:" + record.id);
    if (!found && found.error().code != Errc::not_found) return std::unexpected(found.error());
    return !found;
  }

  Result<ImageInfo> info(const store::ImageRecord& record) const {
    ImageInfo info;
    info.id = "sha256:" + record.id;
    info.tags = familiar(record.tags);
    for (const auto& digest : record.digests)
      info.digests.push_back(oci::Reference::parse(digest.repository + "@sha256:" + digest.digest)->familiar());
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
    info.variant = config.platform.variant;
    info.os = config.platform.os;
    info.labels = config.labels;
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
  store::Paths paths = TRY(store::default_paths());
  impl->store = TRY(store::Store::open(std::move(paths)));
  return Images(std::move(impl));
}

Result<std::vector<LoadedImage>> Images::load(const std::string& path) {
  return image::load_archive(*impl_->store, path, impl_->cancel);
}

Result<std::vector<ImageInfo>> Images::list() {
  std::vector<ImageInfo> images;
  for (const auto& record : TRY(impl_->store->images().list())) {
    auto info = impl_->info(record);
    if (!info && info.error().code == Errc::not_found && TRY(impl_->has_gone(record))) continue;
    images.push_back(TRY(std::move(info)));
  }
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
                        .user = std::move(config.user),
                        .exposed_ports = std::move(config.exposed_ports)},
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
  // By a digest: an image that has names keeps them.
  if (name && !name->digest.empty() && !record.tags.empty()) {
    TRY(images.remove_digest({name->name(), name->digest.hex()}, record.id));
    name->tag.clear();
    removed.untagged = {name->familiar()};
    return removed;
  }
  removed.untagged = familiar(going);
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

Result<PulledImage> Images::pull(std::string_view reference, const PullOptions& options) {
  return image::pull_image(*impl_->store, reference, options, impl_->cancel);
}

Result<std::vector<PulledImage>> Images::pull_all_tags(std::string_view repository, const PullOptions& options) {
  return image::pull_tags(*impl_->store, repository, options, impl_->cancel);
}

Result<PushedImage> Images::push(std::string_view reference, const PushOptions& options) {
  return image::push_image(*impl_->store, reference, options, impl_->cancel);
}

Result<> Images::tag(std::string_view source, std::string_view target) {
  oci::Reference name = TRY(parse_tag(target));
  store::ImageRecord record = TRY(impl_->store->images().find(source));
  return impl_->store->images().set_tag(name.canonical(), record);
}

Result<> Images::save(const std::vector<std::string>& references, int out_fd) {
  return image::save_images(*impl_->store, references, out_fd, impl_->cancel);
}

Result<LoadedImage> Images::import_rootfs(const std::string& path, const ImportOptions& options) {
  auto imported = image::import_rootfs(*impl_->store, path, options, impl_->cancel);
  if (!imported) [[maybe_unused]]
    auto ignored = impl_->store->sweep();
  return imported;
}

Result<std::vector<HistoryEntry>> Images::history(std::string_view reference) {
  store::ImageRecord record = TRY(impl_->store->images().find(reference));
  std::string text = TRY(store::read_blob(impl_->store->paths(), oci::Digest::from_hex(record.id)));
  oci::ImageConfig config = TRY(oci::parse_config(text));
  std::vector<HistoryEntry> entries;
  auto layer = record.layers.begin();
  for (const oci::History& step : config.history) {
    HistoryEntry& entry = entries.emplace_back(
        HistoryEntry{.created = step.created, .created_by = step.created_by, .comment = step.comment, .image_id = {}});
    entry.empty_layer = step.empty_layer || layer == record.layers.end();
    if (!entry.empty_layer) entry.size_bytes = (layer++)->tar_bytes;
  }
  // A history is optional, and may tell of fewer layers than there are.
  for (; layer != record.layers.end(); ++layer)
    entries.push_back(
        {.created = config.created, .created_by = {}, .comment = {}, .size_bytes = layer->tar_bytes, .image_id = {}});
  std::ranges::reverse(entries);
  if (!entries.empty()) entries.front().image_id = "sha256:" + record.id;
  return entries;
}

Result<PrunedImages> Images::prune(const PruneOptions& options) {
  store::ImageStore& images = impl_->store->images();
  auto has = [](const ImageInfo& info, const auto& label) {
    auto found = info.labels.find(label.first);
    return found != info.labels.end() && (!label.second || found->second == *label.second);
  };
  auto goes = [&](const ImageInfo& info) {
    return (options.all || info.tags.empty()) && (!options.until_ns || info.loaded_ns < *options.until_ns) &&
           std::ranges::all_of(options.labels, [&](const auto& label) { return has(info, label); }) &&
           std::ranges::none_of(options.not_labels, [&](const auto& label) { return has(info, label); });
  };
  uint64_t before = TRY(impl_->store->content_bytes());
  PrunedImages pruned;
  for (const auto& record : TRY(images.list())) {
    auto known = impl_->info(record);
    if (!known && known.error().code == Errc::not_found && TRY(impl_->has_gone(record))) continue;
    ImageInfo info = TRY(std::move(known));
    if (!goes(info) || TRY(impl_->store->containers().count_of_image(record.id)) > 0) continue;
    TRY(images.remove(record.id));
    pruned.removed.push_back({info.tags, info.id});
  }
  TRY(impl_->store->sweep());
  uint64_t after = TRY(impl_->store->content_bytes());
  pruned.freed_bytes = before > after ? before - after : 0;
  return pruned;
}

void Images::cancel() { impl_->cancel.cancel(); }

}  // namespace diatom
