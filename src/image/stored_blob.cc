#include "image/stored_blob.h"

#include "base/file.h"
#include "base/hash.h"
#include "store/content_store.h"

namespace diatom::image {

namespace {

class StoredBlob final : public rootfs::ByteSource {
 public:
  StoredBlob(UniqueFd fd, oci::Digest digest, const CancelToken& cancel)
      : fd_(std::move(fd)), digest_(std::move(digest)), cancel_(cancel) {}

  Result<size_t> read(std::span<std::byte> out) override {
    TRY(cancel_.check());
    size_t got = TRY(read_some(fd_.get(), out));
    hash_.update(out.first(got));
    if (got == 0 && !std::exchange(checked_, true) && hash_.finish_hex() != digest_.hex())
      return fail(Errc::internal, "read blob " + digest_.text() + ": it is damaged on the disk",
                  "remove the image, and pull or load it again");
    return got;
  }

 private:
  UniqueFd fd_;
  oci::Digest digest_;
  const CancelToken& cancel_;
  Sha256 hash_;
  bool checked_ = false;
};

}  // namespace

Result<std::unique_ptr<rootfs::ByteSource>> open_stored_blob(const store::Paths& paths, const oci::Descriptor& blob,
                                                             const CancelToken& cancel) {
  UniqueFd fd = TRY(store::open_blob(paths, blob.digest));
  if (uint64_t size = TRY(file_size(fd.get())); size != blob.size)
    return fail(Errc::internal,
                "read blob " + blob.digest.text() + ": it is damaged on the disk: it has " + std::to_string(size) +
                    " bytes, and should have " + std::to_string(blob.size),
                "remove the image, and pull or load it again");
  return std::make_unique<StoredBlob>(std::move(fd), blob.digest, cancel);
}

}  // namespace diatom::image
