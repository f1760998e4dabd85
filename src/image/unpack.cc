#include "image/unpack.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "base/platform/platform.h"
#include "base/size.h"
#include "base/worker_threads.h"
#include "rootfs/image.h"
#include "rootfs/layer_index.h"
#include "store/content_store.h"

namespace diatom::image {

namespace {

// Bytes that were not the right ones are asked for again this often.
constexpr unsigned most_attempts = 3;

class BlobSource final : public LayerSource {
 public:
  explicit BlobSource(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<size_t> read(std::span<std::byte> out) override { return read_some(fd_.get(), out); }
  Result<bool> finish() override { return true; }  // verified when it came into the store

 private:
  UniqueFd fd_;
};

// A layer of an image that will not come about, because another one of its layers failed: it need not be read to its
// end.
class UntilFailure final : public LayerSource {
 public:
  UntilFailure(std::unique_ptr<LayerSource> source, const std::atomic<bool>& failed)
      : source_(std::move(source)), failed_(failed) {}
  Result<size_t> read(std::span<std::byte> out) override {
    if (failed_) return fail(Errc::cancelled, "interrupted");
    return source_->read(out);
  }
  Result<bool> finish() override {
    std::vector<std::byte> rest(64 << 10);
    while (TRY(read(rest)) > 0) {
    }
    return source_->finish();
  }

 private:
  std::unique_ptr<LayerSource> source_;
  const std::atomic<bool>& failed_;
};

// An index that is there stands for a whole layer: commit_layer() sees to that.
Result<std::optional<store::LayerRecord>> find_layer(const store::Paths& paths, const PackedLayer& layer) {
  auto fd = open_file(paths.layer_index(layer.diff_id.hex()), O_RDONLY);
  if (!fd && fd.error().code == Errc::not_found) return std::optional<store::LayerRecord>();
  if (!fd) return std::unexpected(fd.error());
  rootfs::IndexHeader header = TRY(rootfs::read_index_header(fd->get()));
  return std::optional(
      store::LayerRecord{layer.diff_id.hex(), header.data_bytes, header.tar_bytes, header.entries, layer.blob.hex()});
}

// Whether the blob is here, and is as large as the manifest says.
Result<bool> has_blob(const store::Paths& paths, const PackedLayer& layer) {
  auto fd = store::open_blob(paths, layer.blob);
  if (!fd && fd.error().code == Errc::not_found) return false;
  if (!fd) return std::unexpected(fd.error());
  if (uint64_t size = TRY(file_size(fd->get())); size != layer.size)
    return fail(Errc::invalid_argument, "layer " + layer.blob.text() + ": it has " + std::to_string(size) +
                                            " bytes, and the manifest says " + std::to_string(layer.size));
  return true;
}

std::unexpected<Error> wrong_bytes(const PackedLayer& layer) {
  return fail(Errc::image_pull, "layer " + layer.blob.text() + ": wrong digest: other bytes came, " +
                                    std::to_string(most_attempts) + " times");
}

Result<> check_content(const PackedLayer& layer, const std::string& diff_id) {
  if (diff_id == layer.diff_id.text()) return {};
  return fail(Errc::invalid_argument, "layer " + layer.blob.text() + ": wrong digest of its content: it is " + diff_id +
                                          ", and the config says " + layer.diff_id.text());
}

// A layer's lock lists the blobs that were seen to hold it, for as long as no record does: whoever had the lock before
// may have been at another image, or in another process.
Result<bool> was_seen(const FileLock& lock, const oci::Digest& blob) {
  std::string listed(TRY(file_size(lock.fd())), '\0');
  TRY(pread_all(lock.fd(), std::as_writable_bytes(std::span(listed)), 0));
  return listed.find(blob.hex()) != std::string::npos;
}

Result<> note_seen(const FileLock& lock, const oci::Digest& blob) {
  std::string line = blob.hex() + "\n";
  return pwrite_all(lock.fd(), std::as_bytes(std::span(line)), TRY(file_size(lock.fd())));
}

// The layer is here, and the blob is one of its packings or claims to be: that somebody knows what a layer's content
// hashes to does not make it theirs. `stored`: the blob is here, too.
Result<> see_blob(const store::Paths& paths, const PackedLayer& layer, bool stored, bool paired,
                  const rootfs::LayerLimits& limits, const CancelToken& cancel) {
  for (unsigned attempt = 0; attempt < most_attempts; ++attempt) {
    std::unique_ptr<LayerSource> source;
    if (stored)
      source = std::make_unique<BlobSource>(TRY(store::open_blob(paths, layer.blob)));
    else
      source = TRY(layer.open());
    Result<std::string> diff_id = layer.diff_id.text();
    if (!paired) diff_id = rootfs::layer_diff_id(*source, layer.blob.text(), limits, cancel);
    if (!diff_id && diff_id.error().code != Errc::invalid_argument) return std::unexpected(diff_id.error());
    if (!TRY(source->finish())) continue;
    if (!diff_id) return std::unexpected(diff_id.error());
    return check_content(layer, *diff_id);
  }
  return wrong_bytes(layer);
}

Result<store::LayerRecord> unpack_layer(const store::Paths& paths, const PackedLayer& layer, const FileLock& lock,
                                        const rootfs::LayerLimits& limits, const CancelToken& cancel) {
  if (auto known = TRY(find_layer(paths, layer))) {
    bool stored = TRY(has_blob(paths, layer));
    bool paired = layer.paired || TRY(was_seen(lock, layer.blob));
    if (!stored || !paired) TRY(see_blob(paths, layer, stored, paired, limits, cancel));
    if (!paired) TRY(note_seen(lock, layer.blob));
    if (stored && layer.on_exists) layer.on_exists();
    return *known;
  }
  for (unsigned attempt = 0; attempt < most_attempts; ++attempt) {
    auto source = TRY(layer.open());
    auto converted = convert_layer(paths, *source, layer.blob.text(), limits, cancel);
    if (!converted && converted.error().code != Errc::invalid_argument) return std::unexpected(converted.error());
    // What cannot be read may have been damaged on its way: the digest tells.
    if (!TRY(source->finish())) continue;
    if (!converted) return std::unexpected(converted.error());
    TRY(check_content(layer, converted->info.diff_id));
    auto record = commit_layer(paths, std::move(*converted), layer.blob);
    if (record) TRY(note_seen(lock, layer.blob));
    return record;
  }
  return wrong_bytes(layer);
}

// Hands out layers to workers. One that another process is at is put off until there is nothing else to do.
class Work {
 public:
  Work(const store::Paths& paths, std::span<const PackedLayer> layers, const CancelToken& cancel)
      : paths_(paths), layers_(layers), cancel_(cancel), results_(layers.size(), fail(Errc::cancelled, "interrupted")) {
    std::set<std::pair<oci::Digest, oci::Digest>> seen;  // an image may have the same layer twice, and in two packings
    for (size_t i = 0; i < layers.size(); ++i)
      if (seen.emplace(layers[i].diff_id, layers[i].blob).second) waiting_.push_back({i, false});
    for (const Item& item : waiting_) wanted_.push_back(item.layer);
    std::ranges::stable_sort(waiting_, std::greater(), [&](const Item& item) { return layers_[item.layer].size; });
  }

  size_t size() const { return waiting_.size(); }

  void run(const rootfs::LayerLimits& limits) {
    while (auto item = take()) {
      auto lock = claim(*item);
      if (lock && !*lock) {
        put_off(*item);
        continue;
      }
      auto result = lock ? unpack_layer(paths_, until_failure(layers_[item->layer]), **lock, limits, cancel_)
                         : Result<store::LayerRecord>(std::unexpected(lock.error()));
      if (!result) failed_ = true;
      results_[item->layer] = std::move(result);
    }
  }

  Result<std::vector<store::LayerRecord>> finish() {
    std::map<std::string, store::LayerRecord> records;
    const Error* error = nullptr;
    for (const auto& result : results_)
      if (result) records[result->diff_id] = *result;
    // Those that were never begun say "interrupted": the reason is another's.
    for (size_t i : wanted_)
      if (!results_[i] && (error == nullptr || error->code == Errc::cancelled)) error = &results_[i].error();
    if (error != nullptr) return std::unexpected(*error);
    std::vector<store::LayerRecord> ordered;
    for (const PackedLayer& layer : layers_) {
      ordered.push_back(records.at(layer.diff_id.hex()));
      ordered.back().blob = layer.blob.hex();
    }
    return ordered;
  }

 private:
  struct Item {
    size_t layer = 0;
    bool put_off = false;
  };

  PackedLayer until_failure(PackedLayer layer) const {
    layer.open = [this, open = std::move(layer.open)]() -> Result<std::unique_ptr<LayerSource>> {
      return std::make_unique<UntilFailure>(TRY(open()), failed_);
    };
    return layer;
  }

  std::optional<Item> take() {
    std::lock_guard lock(mutex_);
    if (waiting_.empty() || failed_) return std::nullopt;
    Item item = waiting_.front();
    waiting_.pop_front();
    return item;
  }

  void put_off(Item item) {
    std::lock_guard lock(mutex_);
    waiting_.push_back({item.layer, true});
  }

  // The lock file stays until the store is swept: whoever removed it could take it from under a third one.
  Result<std::optional<FileLock>> claim(const Item& item) {
    fs::path path = paths_.ingest() / (layers_[item.layer].diff_id.hex() + ".lock");
    if (!item.put_off) return FileLock::try_acquire(path);
    // Whoever has it may be at it for long; an image that cannot come about any more does not wait for that.
    auto go_on = [this]() -> Result<> {
      if (failed_) return fail(Errc::cancelled, "interrupted");
      return cancel_.check();
    };
    return std::optional(TRY(FileLock::acquire(path, go_on)));
  }

  const store::Paths& paths_;
  std::span<const PackedLayer> layers_;
  const CancelToken& cancel_;
  std::vector<size_t> wanted_;  // the layers that there is work for
  std::mutex mutex_;
  std::deque<Item> waiting_;  // guarded by mutex_
  std::atomic<bool> failed_{false};
  std::vector<Result<store::LayerRecord>> results_;  // each written by the one worker that has the layer
};

Result<> sync_layers(const store::Paths& paths, std::span<const store::LayerRecord> layers) {
  for (const store::LayerRecord& layer : layers)
    for (const fs::path& file :
         {paths.layer_data(layer.diff_id), paths.blobs() / layer.blob, paths.layer_index(layer.diff_id)}) {
      UniqueFd fd = TRY(open_file(file, O_RDONLY));
      TRY(sync_fd(fd.get()));
    }
  return {};
}

}  // namespace

PackedLayer stored_layer(const store::Paths& paths, const oci::Digest& diff_id, const oci::Descriptor& blob,
                         bool paired) {
  return {.diff_id = diff_id,
          .blob = blob.digest,
          .size = blob.size,
          .paired = paired,
          .open = [&paths, blob = blob.digest]() -> Result<std::unique_ptr<LayerSource>> {
            return std::make_unique<BlobSource>(TRY(store::open_blob(paths, blob)));
          },
          .on_exists = {}};
}

Result<rootfs::LayerLimits> layer_limits() {
  rootfs::LayerLimits limits;
  const char* text = std::getenv("DIATOM_MAX_LAYER_SIZE");
  if (text != nullptr && *text != '\0') limits.max_bytes = TRY(parse_size("DIATOM_MAX_LAYER_SIZE", text));
  return limits;
}

Result<rootfs::ImageLimits> image_limits() {
  rootfs::ImageLimits limits;
  const char* text = std::getenv("DIATOM_MAX_TREE_SIZE");
  if (text != nullptr && *text != '\0') limits.max_tree_bytes = TRY(parse_size("DIATOM_MAX_TREE_SIZE", text));
  return limits;
}

Result<NewLayer> convert_layer(const store::Paths& paths, rootfs::ByteSource& blob, std::string_view name,
                               const rootfs::LayerLimits& limits, const CancelToken& cancel) {
  store::Ingest data = TRY(store::Ingest::create(paths));
  store::Ingest index = TRY(store::Ingest::create(paths));
  auto info = TRY(rootfs::write_layer(blob, name, data.fd(), index.fd(), limits, cancel));
  return NewLayer{std::move(data), std::move(index), std::move(info)};
}

Result<store::LayerRecord> commit_layer(const store::Paths& paths, NewLayer layer, const oci::Digest& blob) {
  oci::Digest diff_id = TRY(oci::Digest::parse(layer.info.diff_id));
  TRY(layer.data.commit(paths.layer_data(diff_id.hex())));
  TRY(layer.index.commit(paths.layer_index(diff_id.hex())));
  return store::LayerRecord{diff_id.hex(), layer.info.data_bytes, layer.info.tar_bytes, layer.info.entries, blob.hex()};
}

Result<std::vector<store::LayerRecord>> unpack_layers(const store::Paths& paths, std::span<const PackedLayer> layers,
                                                      const CancelToken& cancel) {
  rootfs::LayerLimits limits = TRY(layer_limits());
  Work work(paths, layers, cancel);
  {
    WorkerThreads workers(std::min<size_t>(work.size(), platform::host_info().cpus), [&] { work.run(limits); });
    work.run(limits);
  }
  return work.finish();
}

Result<store::ImageRecord> build_image(const store::Paths& paths, const oci::Digest& id,
                                       std::vector<store::LayerRecord> layers, const CancelToken& cancel) {
  std::vector<UniqueFd> indexes;
  std::vector<rootfs::LayerFiles> files;
  for (const store::LayerRecord& layer : layers) {
    indexes.push_back(TRY(open_file(paths.layer_index(layer.diff_id), O_RDONLY)));
    files.push_back({indexes.back().get()});
  }
  store::Ingest metadata = TRY(store::Ingest::create(paths));
  rootfs::ImageLimits limits = TRY(image_limits());
  Result<> synced;
  bool began = false;
  Result<rootfs::ImageInfo> info;
  {
    // The disk takes the layers while their entries are merged; ImageStore::put() would have to wait for it.
    WorkerThreads beside(2, [&] {
      began = true;
      synced = sync_layers(paths, layers);
    });
    info = rootfs::write_image(files, id.text(), metadata.fd(), limits, cancel);
  }
  if (!info) return fail(info.error().code, "image " + id.text() + ": " + info.error().message, info.error().hint);
  TRY(synced);
  TRY(metadata.commit(paths.image_metadata(id.hex())));
  store::ImageRecord record;
  record.id = id.hex();
  record.metadata_bytes = info->metadata_bytes;
  record.layers = std::move(layers);
  for (store::LayerRecord& layer : record.layers) layer.on_disk = began;
  return record;
}

}  // namespace diatom::image
