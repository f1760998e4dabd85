// A client of one repository (OCI distribution-spec v1.1, docker registry HTTP API v2). It knows endpoints (the
// registry, its mirrors), authorisation and retries; it knows nothing of images, layers or the store.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "diatom/registry.h"
#include "oci/digest.h"
#include "oci/manifest.h"
#include "oci/reference.h"
#include "rootfs/byte_source.h"

namespace diatom::image {

struct ManifestDocument {
  std::string media_type;
  oci::Digest digest;  // of `bytes`, computed; it was compared with the one asked for and the one that was announced
  std::string bytes;   // at most 4 MiB
};

// What is done when a request is tried again, for whoever shows progress.
using RetryHandler = std::function<void(std::string_view why)>;

// May be used by several threads at once; each exchange in progress has a connection of its own, and connections are
// used again. Every function blocks on the network, ends early with Errc::cancelled when the token is set (within
// 100 ms), and retries what may pass by itself (connections, 5xx, 429 with its Retry-After) with growing pauses, until
// two minutes or eight attempts have brought nothing. What comes is asked of the mirrors first, each failure of which
// leads on to the next and at last to the registry. Errors are Errc::image_pull (not_found where the registry knows no
// such thing, unsupported for documents of another age) and name the registry, the repository and what was asked.
class RegistryClient {
 public:
  enum class Access { pull, push };  // what the token is asked for; push includes pull
  // Nothing is sent yet; the user's settings and certificates are read. `cancel` is borrowed.
  static Result<std::unique_ptr<RegistryClient>> open(const oci::Reference& repository, Access wanted,
                                                      const RegistryAccess& access, const CancelToken& cancel);
  RegistryClient(const RegistryClient&) = delete;
  RegistryClient& operator=(const RegistryClient&) = delete;
  ~RegistryClient();

  // `reference` is a tag or "sha256:…". The digest, type and size only, without the document, by HEAD (by GET where the
  // registry's HEAD names no digest).
  Result<oci::Descriptor> resolve(std::string_view reference);
  Result<ManifestDocument> get_manifest(std::string_view reference);
  // All of them, page by page, of the registry itself: a mirror knows only what it was asked for.
  Result<std::vector<std::string>> list_tags();

  // The blob's bytes as a stream: broken connections are resumed by Range where they broke (from the start, skipping,
  // where the registry knows no ranges). Ends after exactly `blob.size` bytes; an error when there are fewer or more.
  // The digest is for the reader to verify. Nothing is sent before the first read(). The source must not outlive the
  // client; it belongs to one thread. At most 1 MiB of what has come is kept for the reader.
  Result<std::unique_ptr<rootfs::ByteSource>> get_blob(const oci::Descriptor& blob, RetryHandler on_retry);

  Result<bool> has_blob(const oci::Digest& digest);
  // Makes a blob of another repository of the same registry appear in this one. False: it cannot be had that way.
  Result<bool> mount_blob(const oci::Digest& digest, const std::string& from_repository);
  // Sends the whole blob in one request; starts again with a new upload when that fails, three times in all. Opens the
  // content again for each attempt. `on_sent` (may be empty) gets the bytes sent so far.
  using BlobOpener = std::function<Result<std::unique_ptr<rootfs::ByteSource>>()>;
  Result<> put_blob(const oci::Descriptor& blob, const BlobOpener& open, const std::function<void(uint64_t)>& on_sent);
  // Under a tag, or under its digest. Returns the digest that the registry gave it, which is the document's own.
  Result<oci::Digest> put_manifest(std::string_view reference, std::string_view media_type, std::string_view bytes);

 private:
  struct Impl;
  explicit RegistryClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace diatom::image
