#include "diatom/images.h"

#include <algorithm>
#include <iterator>

#include "base/cancel.h"
#include "image/events.h"
#include "image/import.h"
#include "image/load.h"
#include "image/pull.h"
#include "image/push.h"
#include "image/registry/libcurl.h"
#include "image/resolve.h"
#include "image/save.h"
#include "oci/manifest.h"
#include "oci/reference.h"
#include "store/content_store.h"
#include "store/snapshots.h"
#include "store/store.h"

namespace diatom {

namespace {

// What registries call it: "busybox@sha256:…".
std::vector<std::string> known_as(const store::ImageRecord& record) {
  std::vector<std::string> names;
  for (const auto& digest : record.digests) names.push_back(digest.repository + "@sha256:" + digest.digest);
  return image::familiar_names(names);
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

  Event event(std::string_view action, const store::ImageRecord& record, std::string name) const {
    return image::image_event(store->paths(), action, "sha256:" + record.id, std::move(name), record.id);
  }
  std::vector<Event> removal_events(const store::ImageRecord& record, const RemovedImage& removed) const {
    std::vector<Event> events;
    for (const auto& name : removed.untagged) events.push_back(event("untag", record, name));
    if (!removed.deleted.empty()) events.push_back(event("delete", record, removed.deleted));
    return events;
  }

  // And whoever follows events is told to look, now that there is something to be seen.
  Result<> commit(store::Database::Transaction transaction) const {
    TRY(transaction.commit());
    store->events().notify();
    return {};
  }

  Result<RemovedImage> remove(std::string_view reference, bool force);

  // By what needs it: "a container", "a snapshot"; empty: by nothing.
  Result<std::string> used_by(const std::string& id) {
    if (TRY(store->containers().count_of_image(id)) > 0) return "a container";
    return TRY(store::count_snapshots_of_image(store->paths(), id)) > 0 ? "a snapshot" : "";
  }

  // False where something was made of it, or it is not any more what was looked at.
  Result<bool> remove_unused(const ImageInfo& seen) {
    store::Database::Transaction transaction = TRY(store->begin());
    auto now = store->images().find(seen.id);
    if (!now && now.error().code != Errc::not_found) return std::unexpected(now.error());
    if (!now || image::familiar_names(now->tags) != seen.tags || !TRY(used_by(now->id)).empty()) return false;
    TRY(store->images().remove(now->id, removal_events(*now, {seen.tags, seen.id})));
    TRY(commit(std::move(transaction)));
    return true;
  }

  // What the database knows.
  ImageInfo recorded(const store::ImageRecord& record) const {
    ImageInfo info;
    info.id = "sha256:" + record.id;
    info.tags = image::familiar_names(record.tags);
    info.digests = known_as(record);
    info.manifest_digest = "sha256:" + record.manifest;
    info.loaded_ns = record.loaded_ns;
    for (const auto& layer : record.layers) {
      info.size_bytes += layer.tar_bytes;
      info.layers.push_back("sha256:" + layer.diff_id);
    }
    info.root_device = image::root_device(store->paths(), record);
    return info;
  }

  Result<ImageInfo> info(const store::ImageRecord& record) const {
    image::ReadConfig config = TRY(image::read_config(*store, record));
    ImageInfo info = recorded(record);
    info.config_json = std::move(config.json);
    info.created = config.parsed.created;
    info.architecture = config.parsed.platform.architecture;
    info.variant = config.parsed.platform.variant;
    info.os = config.parsed.platform.os;
    info.labels = config.parsed.labels;
    return info;
  }

  Result<std::vector<ImageInfo>> list() {
    std::vector<ImageInfo> images;
    for (const auto& record : TRY(store->images().list())) {
      auto whole = info(record);
      if (!whole && whole.error().code == Errc::not_found) continue;
      images.push_back(whole ? std::move(*whole) : recorded(record));
      if (!whole) images.back().damage = whole.error().message;
    }
    return images;
  }
};

// Where no thread is to be had, nothing is done ahead.
std::future<void> begin_loading_registry_client() {
  return std::async([] { [[maybe_unused]] auto told_by_the_pull = image::load_libcurl(); });
}

Images::Images(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Images::Images(Images&&) noexcept = default;
Images& Images::operator=(Images&&) noexcept = default;
Images::~Images() = default;

Result<Images> Images::open(const Locations& locations) {
  auto impl = std::make_unique<Impl>();
  store::Paths paths = TRY(store::find_paths(locations));
  impl->store = TRY(store::Store::open(std::move(paths)));
  return Images(std::move(impl));
}

Result<std::vector<LoadedImage>> Images::load(const std::string& path) {
  return image::load_archive(*impl_->store, path, impl_->cancel);
}

Result<std::vector<ImageInfo>> Images::list() { return impl_->list(); }

Result<ImageInfo> Images::inspect(std::string_view reference) {
  return impl_->info(TRY(impl_->store->images().find(reference)));
}

Result<ResolvedImage> Images::resolve(std::string_view reference) {
  return image::resolve_image(*impl_->store, reference);
}

Result<RemovedImage> Images::remove(std::string_view reference, bool force) {
  RemovedImage removed = TRY(impl_->remove(reference, force));
  if (!removed.deleted.empty()) TRY(impl_->store->sweep());
  return removed;
}

// In one transaction: no name comes, and no container is made of it, between the look and the removal.
Result<RemovedImage> Images::Impl::remove(std::string_view reference, bool force) {
  store::Database::Transaction transaction = TRY(store->begin());
  store::ImageStore& images = store->images();
  store::ImageRecord record = TRY(images.find(reference));
  std::string shown(reference);
  std::vector<std::string> going = record.tags;
  auto name = oci::Reference::parse(reference);
  bool by_name = name && std::ranges::find(record.tags, name->canonical()) != record.tags.end();
  if (by_name) going = {name->canonical()};
  RemovedImage removed;
  // By a digest: an image that has names keeps them.
  if (name && !name->digest.empty() && !record.tags.empty()) {
    name->tag.clear();
    TRY(images.remove_digest({name->name(), name->digest.hex()}, record.id,
                             {event("untag", record, name->familiar())}));
    removed.untagged = {name->familiar()};
    TRY(commit(std::move(transaction)));
    return removed;
  }
  removed.untagged = image::familiar_names(going);
  if (by_name && record.tags.size() > 1) {
    TRY(images.remove_tag(going.front(), removal_events(record, removed)));
    std::vector<std::string> left = known_as(TRY(images.find("sha256:" + record.id)));
    for (const std::string& digest : known_as(record))
      if (std::ranges::find(left, digest) == left.end()) removed.untagged.push_back(digest);
    TRY(commit(std::move(transaction)));
    return removed;
  }
  if (!by_name && record.tags.size() > 1 && !force)
    return fail(Errc::invalid_argument, "remove image " + shown + ": it has several names",
                "remove them one by one, or use --force");
  std::string user = force ? "" : TRY(used_by(record.id));
  if (!user.empty())
    return fail(Errc::invalid_argument, "remove image " + shown + ": " + user + " was made from it",
                "remove the " + user.substr(2) + " first, or use --force");
  removed.deleted = "sha256:" + record.id;
  TRY(images.remove(record.id, removal_events(record, removed)));
  std::ranges::move(known_as(record), std::back_inserter(removed.untagged));
  TRY(commit(std::move(transaction)));
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
  store::Database::Transaction transaction = TRY(impl_->store->begin());
  store::ImageRecord record = TRY(impl_->store->images().find(source));
  TRY(impl_->store->images().set_tag(name.canonical(), record, {impl_->event("tag", record, name.familiar())}));
  return impl_->commit(std::move(transaction));
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
  oci::ImageConfig config = TRY(image::read_config(*impl_->store, record)).parsed;
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
  for (const ImageInfo& info : TRY(impl_->list())) {
    if (!goes(info) || !TRY(impl_->remove_unused(info))) continue;
    RemovedImage& removed = pruned.removed.emplace_back(RemovedImage{info.tags, info.id});
    removed.untagged.insert(removed.untagged.end(), info.digests.begin(), info.digests.end());
  }
  TRY(impl_->store->sweep());
  uint64_t after = TRY(impl_->store->content_bytes());
  pruned.freed_bytes = before > after ? before - after : 0;
  TRY(impl_->store->events().record({.type = "image",
                                     .action = "prune",
                                     .actor_id = {},
                                     .attributes = {{"reclaimed", std::to_string(pruned.freed_bytes)}}}));
  return pruned;
}

void Images::cancel() { impl_->cancel.cancel(); }

}  // namespace diatom
