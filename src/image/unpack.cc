#include "image/unpack.h"

#include <fcntl.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <thread>

#include "base/platform/platform.h"
#include "base/size.h"
#include "rootfs/image.h"
#include "rootfs/layer.h"
#include "store/content_store.h"

namespace diatom::image {

namespace {

class BlobSource final : public rootfs::ByteSource {
 public:
  explicit BlobSource(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<size_t> read(std::span<std::byte> out) override { return read_some(fd_.get(), out); }

 private:
  UniqueFd fd_;
};

Result<rootfs::LayerLimits> layer_limits() {
  rootfs::LayerLimits limits;
  const char* text = std::getenv("DIATOM_MAX_LAYER_SIZE");
  if (text != nullptr && *text != '\0') limits.max_bytes = TRY(parse_size("DIATOM_MAX_LAYER_SIZE", text));
  return limits;
}

Result<store::LayerRecord> unpack_layer(const store::Paths& paths, const PackedLayer& layer,
                                        const rootfs::LayerLimits& limits, const CancelToken& cancel) {
  BlobSource blob(TRY(store::open_blob(paths, layer.blob)));
  store::Ingest data = TRY(store::Ingest::create(paths));
  store::Ingest index = TRY(store::Ingest::create(paths));
  auto info = TRY(rootfs::write_layer(blob, layer.blob.text(), data.fd(), index.fd(), limits, cancel));
  if (info.diff_id != layer.diff_id.text())
    return fail(Errc::invalid_argument, "layer " + layer.blob.text() + ": wrong digest of its content: it is " +
                                            info.diff_id + ", and the config says " + layer.diff_id.text());
  TRY(data.commit(paths.layer_data(layer.diff_id.hex())));
  TRY(index.commit(paths.layer_index(layer.diff_id.hex())));
  return store::LayerRecord{layer.diff_id.hex(), info.data_bytes, info.tar_bytes, info.entries, ""};
}

// One worker for each CPU takes one layer after the other. The first error ends all.
Result<std::map<std::string, store::LayerRecord>> unpack_layers(const store::Paths& paths,
                                                                const std::vector<PackedLayer>& layers,
                                                                const CancelToken& cancel) {
  rootfs::LayerLimits limits = TRY(layer_limits());
  std::vector<Result<store::LayerRecord>> results(layers.size(), fail(Errc::cancelled, "interrupted"));
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  auto work = [&] {
    for (size_t i; !failed && (i = next.fetch_add(1)) < layers.size();) {
      results[i] = unpack_layer(paths, layers[i], limits, cancel);
      if (!results[i]) failed = true;
    }
  };
  {
    std::vector<std::jthread> workers;
    size_t count = std::min<size_t>(layers.size(), platform::host_info().cpus);
    for (size_t i = 1; i < count; ++i) workers.emplace_back(work);
    work();
  }
  std::map<std::string, store::LayerRecord> records;
  const Error* error = nullptr;
  for (const auto& result : results) {
    if (result) records[result->diff_id] = *result;
    // Those that were never begun say "interrupted": the reason is another's.
    else if (error == nullptr || error->code == Errc::cancelled)
      error = &result.error();
  }
  if (error != nullptr) return std::unexpected(*error);
  return records;
}

}  // namespace

Result<store::ImageRecord> unpack_image(store::Store& store, const oci::Digest& id, std::span<const PackedLayer> layers,
                                        const CancelToken& cancel) {
  const store::Paths& paths = store.paths();
  std::map<std::string, store::LayerRecord> ready;
  std::map<std::string, PackedLayer> missing;  // by diff id: an image may have the same layer twice
  for (const PackedLayer& layer : layers) {
    auto known = TRY(store.images().layer(layer.diff_id.hex()));
    if (known)
      ready[known->diff_id] = *known;
    else
      missing.emplace(layer.diff_id.hex(), layer);
  }
  std::vector<PackedLayer> work;
  for (const auto& [diff_id, layer] : missing) work.push_back(layer);
  auto made = TRY(unpack_layers(paths, work, cancel));
  ready.merge(made);

  store::ImageRecord record;
  record.id = id.hex();
  std::vector<UniqueFd> indexes;
  std::vector<rootfs::LayerFiles> files;
  for (const PackedLayer& layer : layers) {
    record.layers.push_back(ready[layer.diff_id.hex()]);
    record.layers.back().blob = layer.blob.hex();
    indexes.push_back(TRY(open_file(paths.layer_index(layer.diff_id.hex()), O_RDONLY)));
    files.push_back({indexes.back().get()});
  }
  store::Ingest metadata = TRY(store::Ingest::create(paths));
  auto info = rootfs::write_image(files, id.text(), metadata.fd(), cancel);
  if (!info) return fail(info.error().code, "image " + id.text() + ": " + info.error().message, info.error().hint);
  record.metadata_bytes = info->metadata_bytes;
  TRY(metadata.commit(paths.image_metadata(id.hex())));
  return record;
}

}  // namespace diatom::image
