// Blobs by their digest: blobs/sha256/<hex>. What is being written lies in ingest/ until it is whole and verified, so
// that nothing half-written is ever found under a digest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "base/cancel.h"
#include "base/file.h"
#include "base/hash.h"
#include "oci/digest.h"
#include "store/paths.h"

namespace diatom::store {

struct Blob {
  oci::Digest digest;
  uint64_t size = 0;
};

// A file below ingest/ that goes away with its owner unless it is moved into place.
class Ingest {
 public:
  static Result<Ingest> create(const Paths& paths);
  int fd() const { return fd_.get(); }
  // Gives it its name; one that is there already is replaced by its equal. Its content begins to be written out, and
  // has reached the disk for certain once an image that needs it has been put (ImageStore::put): what no image names
  // after a power cut is swept away unread.
  Result<> commit(const std::filesystem::path& to);

 private:
  Ingest(TemporaryPath path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  TemporaryPath path_;
  UniqueFd fd_;
};

// Collects one blob: write, then commit.
class BlobWriter {
 public:
  static Result<BlobWriter> create(const Paths& paths);
  Result<> write(std::span<const std::byte> data);
  Result<Blob> commit();
  // False, and nothing is kept, when the content has another digest.
  Result<bool> commit_as(const oci::Digest& wanted);

 private:
  BlobWriter(const Paths& paths, Ingest ingest) : paths_(&paths), ingest_(std::move(ingest)) {}
  const Paths* paths_;
  Ingest ingest_;
  Sha256 hash_;
  uint64_t size_ = 0;
  uint64_t written_back_ = 0;
};

// A document as a blob.
Result<Blob> put_blob(const Paths& paths, std::string_view content);
// Errors: not_found when it is not in the store.
Result<UniqueFd> open_blob(const Paths& paths, const oci::Digest& digest);
// A document: at most 4 MiB, as registries have it. Its digest is verified: a disk may have lost or changed it.
Result<std::string> read_blob(const Paths& paths, const oci::Digest& digest);

}  // namespace diatom::store
