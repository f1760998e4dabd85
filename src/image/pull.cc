// pull: manifest → config → layers, each streamed from the socket into its EROFS data in one go (unpack.h).
#include "image/pull.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "base/clock.h"
#include "base/text.h"
#include "image/documents.h"
#include "image/events.h"
#include "image/progress.h"
#include "image/registry/registry_client.h"
#include "image/unpack.h"
#include "oci/manifest.h"
#include "oci/reference.h"
#include "store/content_store.h"

namespace diatom::image {

namespace {

using Phase = TransferProgress::Phase;

constexpr unsigned deepest_index = 4;
// Somebody looks at how far it has come.
constexpr std::chrono::milliseconds patience_for_whole{100};
constexpr uint64_t largest_document = 4 << 20;  // distribution-spec, "Pushing Manifests"

std::string short_id(const oci::Digest& digest) { return digest.hex().substr(0, 12); }

// A layer on its way from the registry: what is read from it is hashed and kept as the blob that it is.
class RemoteLayer final : public LayerSource {
 public:
  static Result<std::unique_ptr<LayerSource>> open(RegistryClient& client, const store::Paths& paths,
                                                   const oci::Descriptor& blob, Progress& progress) {
    std::string id = short_id(blob.digest);
    auto on_retry = [&progress, id](std::string_view why) {
      progress.step({.id = id, .phase = Phase::retrying, .note = std::string(why)});
    };
    auto source = TRY(client.get_blob(blob, on_retry));
    store::BlobWriter writer = TRY(store::BlobWriter::create(paths));
    return std::unique_ptr<LayerSource>(new RemoteLayer(std::move(source), std::move(writer), blob, progress));
  }

  // As much as there is room for, which the file system takes at less cost; unless the line is slow.
  Result<size_t> read(std::span<std::byte> out) override {
    size_t got = 0;
    auto deadline = std::chrono::steady_clock::now() + patience_for_whole;
    do {
      size_t part = TRY(source_->read(out.subspan(got)));
      if (part == 0) break;
      got += part;
    } while (got < out.size() && std::chrono::steady_clock::now() < deadline);
    TRY(writer_.write(out.first(got)));
    done_ += got;
    progress_.bytes(id_, Phase::downloading, done_, blob_.size);
    return got;
  }

  Result<bool> finish() override {
    std::vector<std::byte> rest(64 << 10);
    while (TRY(read(rest)) > 0) {
    }
    bool right = TRY(writer_.commit_as(blob_.digest));
    if (right)
      progress_.step(
          {.id = id_, .phase = Phase::done, .done_bytes = blob_.size, .total_bytes = blob_.size, .note = {}});
    else
      progress_.step({.id = id_, .phase = Phase::retrying, .note = "the bytes that came have another digest"});
    return right;
  }

 private:
  RemoteLayer(std::unique_ptr<rootfs::ByteSource> source, store::BlobWriter writer, const oci::Descriptor& blob,
              Progress& progress)
      : source_(std::move(source)),
        writer_(std::move(writer)),
        blob_(blob),
        id_(short_id(blob.digest)),
        progress_(progress) {}

  std::unique_ptr<rootfs::ByteSource> source_;
  store::BlobWriter writer_;
  oci::Descriptor blob_;
  std::string id_;
  Progress& progress_;
  uint64_t done_ = 0;
};

class Puller {
 public:
  Puller(store::Store& store, const oci::Reference& reference, const PullOptions& options, const CancelToken& cancel)
      : store_(store), reference_(reference), options_(options), cancel_(cancel), progress_(options.on_progress) {}

  Result<PulledImage> run() {
    wanted_ = host_platform();
    if (!options_.platform.empty()) wanted_ = TRY(oci::parse_platform(options_.platform));
    auto present = store_.images().find(reference_.canonical());
    if (!present && present.error().code != Errc::not_found) return std::unexpected(present.error());
    if (present && !TRY(is_for(*present))) present = fail(Errc::not_found, "it is for another platform");
    if (options_.policy == PullPolicy::never || options_.policy == PullPolicy::missing) {
      if (present) return serves(*present);
      if (options_.policy == PullPolicy::never)
        return fail(
            Errc::not_found,
            "pull " + reference_.familiar() + ": the image is not here, and the policy is never to ask a registry",
            "pull it with another policy, or load it from a file");
    }
    client_ = TRY(RegistryClient::open(reference_, RegistryClient::Access::pull, options_.access, cancel_));
    if (options_.policy == PullPolicy::newer && present) {
      auto current = client_->resolve(asked_for());
      if (!current && current.error().code == Errc::cancelled) return std::unexpected(current.error());
      if (!current || has_digest(*present, current->digest)) return serves(*present);
    }
    return fetch();
  }

 private:
  std::string asked_for() const { return reference_.digest.empty() ? reference_.tag : reference_.digest.text(); }

  bool has_digest(const store::ImageRecord& image, const oci::Digest& digest) const {
    return std::ranges::find(image.digests, store::RegistryDigest{reference_.name(), digest.hex()}) !=
           image.digests.end();
  }

  // Without --platform, what is there was chosen by somebody.
  Result<bool> is_for(const store::ImageRecord& image) {
    auto text = store::read_blob(store_.paths(), oci::Digest::from_hex(image.id));
    if (!text) return options_.policy == PullPolicy::never;  // damaged: as good as absent, where it can be fetched
    if (options_.platform.empty()) return true;
    oci::ImageConfig config = TRY(oci::parse_config(*text));
    return oci::platform_fit(wanted_, config.platform) > 0;
  }

  PulledImage serves(const store::ImageRecord& image) const {
    PulledImage result{"sha256:" + image.id, reference_.familiar(), "", false};
    for (const auto& digest : image.digests)
      if (digest.repository == reference_.name()) result.digest = "sha256:" + digest.digest;
    return result;
  }

  Result<PulledImage> fetch() {
    FileLock lock = TRY(store_.lock_for_adding(cancel_));
    ManifestDocument top = TRY(client_->get_manifest(asked_for()));
    ManifestDocument document = TRY(choose(top, 0));
    oci::Manifest manifest = TRY(oci::parse_manifest(document.bytes));
    TRY(check_layer_types(document.digest.text(), manifest));
    TRY(store::put_blob(store_.paths(), document.bytes));
    PulledImage result{manifest.config.digest.text(), reference_.familiar(), top.digest.text(), false};

    store::ImageRecord record;
    auto known = TRY(store_.images().find_manifest(document.digest.hex()));
    if (known) {
      record = std::move(*known);
      TRY(fetch_config(manifest.config));
      oci::ImageConfig config = TRY(read_config(manifest));
      TRY(check_platform(record.id, config));
    } else {
      record = TRY(fetch_image(manifest));
      result.fetched = true;
      record.manifest = document.digest.hex();
      record.loaded_ns = wall_clock_ns();
    }
    record.tags.clear();
    if (reference_.digest.empty()) record.tags = {reference_.canonical()};
    record.digests = {{reference_.name(), top.digest.hex()}};
    if (document.digest != top.digest) record.digests.push_back({reference_.name(), document.digest.hex()});
    TRY(store_.images().put(
        record, {image_event(store_.paths(), "pull", reference_.familiar(), familiar_name(reference_), record.id)}));
    return result;
  }

  // Of an index the manifest for the wanted platform.
  Result<ManifestDocument> choose(const ManifestDocument& document, unsigned depth) {
    if (!oci::is_index_type(document.media_type)) return document;
    if (depth == deepest_index) return fail(Errc::image_pull, what() + ": its index is nested too deeply");
    oci::Index index = TRY(oci::parse_index(document.bytes));
    std::vector<oci::Platform> offered;
    std::string names;
    for (const oci::Descriptor& entry : index.manifests) {
      offered.push_back(entry.platform);
      // Attestations and the like call themselves unknown/unknown.
      if (entry.platform.architecture != "unknown") names += " " + oci::print_platform(entry.platform);
    }
    auto best = oci::best_platform(wanted_, offered);
    if (!best)
      return fail(Errc::image_pull, what() + ": it is not there for " + oci::print_platform(wanted_),
                  names.empty() ? "it is there for no platform" : "--platform chooses another of:" + names);
    ManifestDocument chosen = TRY(client_->get_manifest(index.manifests[*best].digest.text()));
    return choose(chosen, depth + 1);
  }

  Result<oci::ImageConfig> read_config(const oci::Manifest& manifest) {
    std::string text = TRY(store::read_blob(store_.paths(), manifest.config.digest));
    return oci::parse_config(text);
  }

  Result<> check_platform(const std::string& id, const oci::ImageConfig& config) const {
    if (oci::platform_fit(wanted_, config.platform) > 0) return {};
    return fail(Errc::image_pull,
                fmt::format("{}: image {} is for {}, not for {}", what(), id.substr(0, 12),
                            oci::print_platform(config.platform), oci::print_platform(wanted_)),
                "--platform " + oci::print_platform(config.platform) + " pulls it all the same");
  }

  Result<store::ImageRecord> fetch_image(const oci::Manifest& manifest) {
    TRY(fetch_config(manifest.config));
    oci::ImageConfig config = TRY(read_config(manifest));
    TRY(check_platform(manifest.config.digest.hex(), config));
    std::vector<PackedLayer> layers;
    uint64_t largest = TRY(layer_limits()).max_bytes;
    for (const LayerPair& pair : TRY(pair_layers(manifest.config.digest.text(), manifest, config))) {
      std::string id = short_id(pair.blob.digest);
      // What it inflates to is limited elsewhere; but a packing may go on for ever and inflate to nothing.
      if (pair.blob.size > largest)
        return fail(
            Errc::image_pull,
            fmt::format("{}: layer {} has {} bytes, which is more than {}", what(), id, pair.blob.size, largest),
            "raise DIATOM_MAX_LAYER_SIZE if you trust it");
      progress_.step({.id = id, .phase = Phase::waiting, .total_bytes = pair.blob.size, .note = {}});
      bool paired = TRY(store_.images().is_recorded(pair.diff_id.hex(), pair.blob.digest.hex()));
      layers.push_back(
          {.diff_id = pair.diff_id,
           .blob = pair.blob.digest,
           .size = pair.blob.size,
           .paired = paired,
           .open = [this, blob = pair.blob] { return RemoteLayer::open(*client_, store_.paths(), blob, progress_); },
           .on_exists =
               [this, id, size = pair.blob.size] {
                 progress_.step({.id = id, .phase = Phase::exists, .total_bytes = size, .note = {}});
               }});
    }
    auto records = TRY(unpack_layers(store_.paths(), layers, cancel_));
    return build_image(store_.paths(), manifest.config.digest, std::move(records), cancel_);
  }

  Result<> fetch_config(const oci::Descriptor& config) {
    if (config.size > largest_document)
      return fail(Errc::image_pull, what() + ": its config is larger than 4 MiB: no image's is");
    if (store::read_blob(store_.paths(), config.digest)) return {};  // it is here, and whole
    for (unsigned attempt = 0; attempt < 3; ++attempt) {
      auto source = TRY(client_->get_blob(config, {}));
      store::BlobWriter writer = TRY(store::BlobWriter::create(store_.paths()));
      std::vector<std::byte> block(64 << 10);
      for (size_t got; (got = TRY(source->read(block))) > 0;) TRY(writer.write(std::span(block).first(got)));
      if (TRY(writer.commit_as(config.digest))) return {};
    }
    return fail(Errc::image_pull, what() + ": config " + config.digest.text() + ": wrong digest: other bytes came");
  }

  std::string what() const { return "pull " + reference_.familiar(); }

  store::Store& store_;
  oci::Reference reference_;
  const PullOptions& options_;
  const CancelToken& cancel_;
  Progress progress_;
  oci::Platform wanted_;
  std::unique_ptr<RegistryClient> client_;
};

// What a failure left goes at once, rather than at the next command's sweep.
template <class T>
Result<T> swept(store::Store& store, Result<T> result) {
  if (!result) [[maybe_unused]]
    auto ignored = store.sweep();
  return result;
}

}  // namespace

Result<PulledImage> pull_image(store::Store& store, std::string_view reference, const PullOptions& options,
                               const CancelToken& cancel) {
  oci::Reference parsed = TRY(oci::Reference::parse(reference));
  return swept(store, Puller(store, parsed, options, cancel).run());
}

Result<std::vector<PulledImage>> pull_tags(store::Store& store, std::string_view repository, const PullOptions& options,
                                           const CancelToken& cancel) {
  oci::Reference reference = TRY(oci::Reference::parse(repository));
  if (!reference.digest.empty() || repository.ends_with(":" + reference.tag))
    return fail(Errc::invalid_argument, "pull all tags of " + std::string(repository) + ": it names one",
                "leave the tag out");
  auto client = TRY(RegistryClient::open(reference, RegistryClient::Access::pull, options.access, cancel));
  std::vector<PulledImage> pulled;
  for (const std::string& tag : TRY(client->list_tags())) {
    auto named = oci::Reference::parse(reference.name() + ":" + tag);
    if (!named || named->tag != tag)
      return fail(Errc::image_pull, "pull all tags of " + reference.familiar() + ": the registry lists \"" +
                                        printable(tag) + "\", which is no tag");
    reference.tag = tag;
    pulled.push_back(TRY(swept(store, Puller(store, reference, options, cancel).run())));
  }
  return pulled;
}

}  // namespace diatom::image
