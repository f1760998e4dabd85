// push: every blob that the registry lacks, several at once, then the manifest that names them.
#include "image/push.h"

#include <atomic>
#include <map>
#include <set>

#include "base/worker_threads.h"
#include "image/events.h"
#include "image/progress.h"
#include "image/registry/registry_client.h"
#include "image/stored_blob.h"
#include "oci/manifest.h"
#include "oci/reference.h"
#include "store/content_store.h"

namespace diatom::image {

namespace {

using Phase = TransferProgress::Phase;

// Uploads wait for the registry more than for this machine.
constexpr size_t most_uploads = 4;
// Other repositories that are asked whether they have a blob.
constexpr size_t most_mounts = 3;

class Pusher {
 public:
  Pusher(store::Store& store, const oci::Reference& reference, const PushOptions& options, const CancelToken& cancel)
      : store_(store), reference_(reference), cancel_(cancel), options_(options), progress_(options.on_progress) {}

  Result<PushedImage> run(std::string_view asked_for) {
    store::ImageRecord image = TRY(store_.images().find(asked_for));
    oci::Digest digest = oci::Digest::from_hex(image.manifest);
    std::string document = TRY(store::read_blob(store_.paths(), digest));
    oci::Manifest manifest = TRY(oci::parse_manifest(document));
    std::vector<oci::Descriptor> blobs = TRY(blobs_of(manifest));
    client_ = TRY(RegistryClient::open(reference_, RegistryClient::Access::push, options_.access, cancel_));
    TRY(send_all(blobs));
    std::string_view type = manifest.media_type.empty() ? oci::media_type::manifest : manifest.media_type;
    oci::Digest given = TRY(client_->put_manifest(reference_.tag, type, document));
    if (given != digest)
      return fail(Errc::image_pull, "push " + reference_.familiar() + ": the registry calls the manifest " +
                                        given.text() + ", and it is " + digest.text());
    TRY(store_.images().add_digest(
        {reference_.name(), digest.hex()}, image.id,
        {image_event(store_.paths(), "push", reference_.familiar(), familiar_name(reference_), image.id)}));
    PushedImage result{reference_.familiar(), digest.text(), document.size()};
    for (const auto& blob : blobs) result.size_bytes += blob.size;
    return result;
  }

 private:
  // Each once: an image may have the same layer twice. Where they may be mounted from is asked for here, by the thread
  // that owns the database.
  Result<std::vector<oci::Descriptor>> blobs_of(const oci::Manifest& manifest) {
    std::vector<oci::Descriptor> all = manifest.layers;
    all.push_back(manifest.config);
    std::set<oci::Digest> seen;
    std::erase_if(all, [&seen](const oci::Descriptor& blob) { return !seen.insert(blob.digest).second; });
    for (const auto& blob : all) {
      auto from = TRY(store_.images().repositories_with_blob(reference_.registry, blob.digest.hex(), most_mounts));
      std::erase(from, reference_.repository);
      mounts_[blob.digest] = std::move(from);
    }
    return all;
  }

  Result<> send_all(const std::vector<oci::Descriptor>& blobs) {
    std::vector<Result<>> results(blobs.size(), fail(Errc::cancelled, "interrupted"));
    std::atomic<size_t> next{0};
    std::atomic<bool> failed{false};
    auto work = [&] {
      for (size_t i; !failed && (i = next.fetch_add(1)) < blobs.size();) {
        results[i] = send(blobs[i]);
        if (!results[i]) failed = true;
      }
    };
    {
      WorkerThreads workers(std::min(blobs.size(), most_uploads), work);
      work();
    }
    const Error* error = nullptr;
    for (const auto& result : results)
      if (!result && (error == nullptr || error->code == Errc::cancelled)) error = &result.error();
    return error == nullptr ? Result<>() : Result<>(std::unexpected(*error));
  }

  Result<> send(const oci::Descriptor& blob) {
    std::string id = blob.digest.hex().substr(0, 12);
    if (TRY(client_->has_blob(blob.digest))) {
      progress_.step({.id = id, .phase = Phase::exists, .total_bytes = blob.size, .note = {}});
      return {};
    }
    for (const std::string& from : mounts_.at(blob.digest))
      if (TRY(client_->mount_blob(blob.digest, from))) {
        progress_.step({.id = id, .phase = Phase::mounted, .total_bytes = blob.size, .note = from});
        return {};
      }
    progress_.step({.id = id, .phase = Phase::waiting, .total_bytes = blob.size, .note = {}});
    TRY(client_->put_blob(
        blob, [&] { return open_stored_blob(store_.paths(), blob, cancel_); },
        [&](uint64_t sent) { progress_.bytes(id, Phase::uploading, sent, blob.size); }));
    progress_.step({.id = id, .phase = Phase::done, .done_bytes = blob.size, .total_bytes = blob.size, .note = {}});
    return {};
  }

  store::Store& store_;
  oci::Reference reference_;
  const CancelToken& cancel_;
  const PushOptions& options_;
  Progress progress_;
  std::map<oci::Digest, std::vector<std::string>> mounts_;
  std::unique_ptr<RegistryClient> client_;
};

}  // namespace

Result<PushedImage> push_image(store::Store& store, std::string_view reference, const PushOptions& options,
                               const CancelToken& cancel) {
  oci::Reference parsed = TRY(oci::Reference::parse(reference));
  if (!parsed.digest.empty())
    return fail(Errc::invalid_argument, "push " + std::string(reference) + ": a digest is no place to push to",
                "name a tag: `diatom tag` gives an image another name");
  // Nothing that is being read may be swept away by another process.
  FileLock lock = TRY(store.lock_for_adding(cancel));
  return Pusher(store, parsed, options, cancel).run(reference);
}

}  // namespace diatom::image
