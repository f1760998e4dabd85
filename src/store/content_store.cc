#include "store/content_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/platform/platform.h"

namespace diatom::store {

namespace {
constexpr uint64_t largest_document = 4 << 20;
constexpr uint64_t writeback_bytes = 2 << 20;
}  // namespace

Result<Ingest> Ingest::create(const Paths& paths) {
  std::string name = (paths.ingest() / "XXXXXX").string();
  int fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) return fail_errno("create a file in " + paths.ingest().string());
  return Ingest(TemporaryPath(name), UniqueFd(fd));
}

Result<> Ingest::commit(const std::filesystem::path& to) {
  platform::start_writeback(fd_.get());
  if (::rename(path_.path().c_str(), to.c_str()) < 0) return fail_errno("rename to " + to.string());
  path_.keep();
  return {};
}

Result<BlobWriter> BlobWriter::create(const Paths& paths) { return BlobWriter(paths, TRY(Ingest::create(paths))); }

Result<> BlobWriter::write(std::span<const std::byte> data) {
  hash_.update(data);
  size_ += data.size();
  TRY(write_all(ingest_.fd(), data));
  if (size_ - written_back_ >= writeback_bytes) {  // the disk writes while the rest is still on its way
    platform::start_writeback(ingest_.fd(), written_back_, size_ - written_back_);
    written_back_ = size_;
  }
  return {};
}

Result<Blob> BlobWriter::commit() {
  Blob blob{oci::Digest::from_hex(hash_.finish_hex()), size_};
  TRY(ingest_.commit(paths_->blobs() / blob.digest.hex()));
  return blob;
}

Result<bool> BlobWriter::commit_as(const oci::Digest& wanted) {
  if (hash_.finish_hex() != wanted.hex()) return false;
  TRY(ingest_.commit(paths_->blobs() / wanted.hex()));
  return true;
}

Result<Blob> put_blob(const Paths& paths, std::string_view content) {
  BlobWriter writer = TRY(BlobWriter::create(paths));
  TRY(writer.write(std::as_bytes(std::span(content))));
  return writer.commit();
}

Result<UniqueFd> open_blob(const Paths& paths, const oci::Digest& digest) {
  auto fd = open_file(paths.blobs() / digest.hex(), O_RDONLY);
  if (!fd && fd.error().code == Errc::not_found)
    return fail(Errc::not_found, "open blob " + digest.text() + ": it is not in the store",
                "load or pull the image again");
  return fd;
}

Result<std::string> read_blob(const Paths& paths, const oci::Digest& digest) {
  TRY(open_blob(paths, digest));
  std::string text = TRY(read_file(paths.blobs() / digest.hex(), largest_document));
  if (sha256_hex(text) == digest.hex()) return text;
  return fail(Errc::internal, "read blob " + digest.text() + ": it is damaged, its content has another digest",
              "load or pull the image again");
}

}  // namespace diatom::store
