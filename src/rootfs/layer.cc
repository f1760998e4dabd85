// A layer's tar, read once: file contents go straight to the data file, everything else becomes an entry of the index.
// The digest of the uncompressed tar is taken from the same bytes on their way through.
#include "rootfs/layer.h"

#include <algorithm>
#include <functional>

#include "base/file.h"
#include "base/hash.h"
#include "rootfs/data_writer.h"
#include "rootfs/inflate.h"
#include "rootfs/layer_index.h"
#include "rootfs/path.h"
#include "rootfs/read_ahead.h"
#include "rootfs/xattrs.h"
#include "tar/reader.h"

namespace diatom::rootfs {

namespace {

constexpr size_t index_flush = 1 << 20;
constexpr uint64_t largest_file = 8ULL << 40;  // with everything else it must fit into 2^32 blocks
constexpr std::string_view whiteout_prefix = ".wh.";
constexpr std::string_view opaque_marker = ".wh..wh..opq";

// The uncompressed tar on its way to its reader: hashed, counted, limited.
class TarStream {
 public:
  TarStream(ByteSource& source, const LayerLimits& limits, const CancelToken& cancel)
      : source_(source), limits_(limits), cancel_(cancel) {}

  // Empty = the end.
  Result<std::span<const std::byte>> next() {
    TRY(cancel_.check());
    auto block = TRY(source_.next());
    bytes_ += block.size();
    if (bytes_ > limits_.max_bytes)
      return fail(Errc::invalid_argument,
                  "it is larger than " + std::to_string(limits_.max_bytes) + " bytes when inflated",
                  "raise DIATOM_MAX_LAYER_SIZE if you trust it");
    hash_.update(block);
    return block;
  }

  uint64_t bytes() const { return bytes_; }
  std::string digest_hex() { return hash_.finish_hex(); }

 private:
  ReadAhead source_;
  const LayerLimits& limits_;
  const CancelToken& cancel_;
  Sha256 hash_;
  uint64_t bytes_ = 0;
};

// The index file while it grows.
class IndexWriter {
 public:
  explicit IndexWriter(int fd) : fd_(fd) {}

  Result<> add(const Entry& entry) {
    encode_entry(entry, buffer_);
    ++entries_;
    return buffer_.size() >= index_flush ? flush() : Result<>();
  }
  uint64_t entries() const { return entries_; }

  // The checksum covers the header, which is known last: what has been written of the body is read again.
  Result<> finish(const IndexHeader& header) {
    std::string head = encode_index_header(header);
    Sha256 hash;
    hash.update(std::as_bytes(std::span(head)));
    std::vector<std::byte> block;
    for (uint64_t at = index_header_bytes; at < position_; at += block.size()) {
      block.resize(std::min<uint64_t>(index_flush, position_ - at));
      TRY(pread_all(fd_, block, at));
      hash.update(block);
    }
    hash.update(std::as_bytes(std::span(buffer_)));
    TRY(flush());
    TRY(pwrite_all(fd_, std::as_bytes(std::span(head)), 0));
    return pwrite_all(fd_, hash.finish(), position_);
  }

 private:
  Result<> flush() {
    TRY(pwrite_all(fd_, std::as_bytes(std::span(buffer_)), position_));
    position_ += buffer_.size();
    buffer_.clear();
    return {};
  }

  int fd_;
  std::string buffer_;
  uint64_t position_ = index_header_bytes;
  uint64_t entries_ = 0;
};

class LayerWriter {
 public:
  LayerWriter(TarStream& tar, int data_fd, int index_fd, const LayerLimits& limits)
      : tar_(tar), reader_([&tar] { return tar.next(); }), data_(data_fd), index_(index_fd), limits_(limits) {}

  Result<LayerInfo> run() {
    for (auto entry = TRY(reader_.next()); entry; entry = TRY(reader_.next())) {
      if (index_.entries() >= limits_.max_entries)
        return fail(Errc::invalid_argument, "it has more than " + std::to_string(limits_.max_entries) + " entries");
      TRY(add(*entry));
    }
    // What follows the tar's end belongs to the digest.
    while (!TRY(tar_.next()).empty()) {
    }
    LayerInfo info;
    info.data_bytes = TRY(data_.finish());
    info.tar_bytes = tar_.bytes();
    info.entries = index_.entries();
    std::string digest = tar_.digest_hex();
    TRY(index_.finish({info.data_bytes, info.tar_bytes, info.entries, digest}));
    info.diff_id = "sha256:" + digest;
    return info;
  }

 private:
  Result<> add(tar::Entry& from) {
    std::string path = TRY(normalise_path(from.name));
    size_t slash = path.rfind('/');
    std::string base = slash == std::string::npos ? path : path.substr(slash + 1);
    if (base.starts_with(whiteout_prefix)) return add_whiteout(path, base, slash);

    Entry entry;
    entry.path = path;
    entry.mode = static_cast<uint16_t>(from.mode);
    entry.uid = from.uid;
    entry.gid = from.gid;
    entry.mtime_s = from.mtime_s;
    entry.mtime_ns = from.mtime_ns;
    std::string xattrs = encode_xattrs(std::move(from.xattrs));
    entry.xattrs = xattrs;
    entry.rdev_major = from.major;
    entry.rdev_minor = from.minor;
    switch (from.kind) {
      case tar::Kind::regular:
        return add_file(entry, from.size);
      case tar::Kind::hard_link:
        return add_hard_link(entry, from.target);
      case tar::Kind::directory:
        entry.kind = EntryKind::directory;
        break;
      case tar::Kind::symlink:
        if (from.target.size() > 4095)
          return fail(Errc::invalid_argument, "path \"" + path + "\": a symbolic link with an unusable target");
        entry.kind = EntryKind::symlink;
        entry.target = from.target;
        break;
      case tar::Kind::char_device:
        entry.kind = EntryKind::char_device;
        break;
      case tar::Kind::block_device:
        entry.kind = EntryKind::block_device;
        break;
      case tar::Kind::fifo:
        entry.kind = EntryKind::fifo;
        break;
    }
    if (path.empty() && entry.kind != EntryKind::directory)
      return fail(Errc::invalid_argument, "path \"/\": the root can only be a directory");
    return index_.add(entry);
  }

  // Another name of a file, which has attributes of its own.
  Result<> add_hard_link(Entry& entry, std::string_view to) {
    std::string target = TRY(normalise_link_target(to));
    entry.kind = EntryKind::hard_link;
    entry.target = target;
    entry.xattrs = {};
    return index_.add(entry);
  }

  // OCI image-spec layer.md, "Whiteouts".
  Result<> add_whiteout(const std::string& path, const std::string& base, size_t slash) {
    std::string directory = slash == std::string::npos ? "" : path.substr(0, slash);
    Entry entry;
    if (base == opaque_marker) {
      entry.kind = EntryKind::opaque;
      entry.path = directory;
      return index_.add(entry);
    }
    std::string hidden = base.substr(whiteout_prefix.size());
    if (hidden.starts_with(whiteout_prefix)) return {};  // AUFS's own bookkeeping
    if (hidden.empty() || hidden == "." || hidden == "..")
      return fail(Errc::invalid_argument, "path \"" + path + "\": a whiteout of nothing");
    std::string target = directory.empty() ? hidden : directory + "/" + hidden;
    entry.kind = EntryKind::whiteout;
    entry.path = target;
    return index_.add(entry);
  }

  Result<> add_file(Entry& entry, uint64_t size) {
    if (entry.path.empty()) return fail(Errc::invalid_argument, "path \"/\": the root can only be a directory");
    if (size > largest_file)
      return fail(Errc::invalid_argument, "path \"" + std::string(entry.path) + "\": larger than 8 TiB");
    entry.kind = EntryKind::regular;
    entry.size = size;
    entry.first_block = data_.next_block();
    if (entry.first_block + entry.size / block_size > largest_file / block_size)
      return fail(Errc::invalid_argument, "path \"" + std::string(entry.path) + "\": the layer is larger than 8 TiB");
    for (auto piece = TRY(reader_.read()); !piece.data.empty(); piece = TRY(reader_.read())) {
      TRY(data_.write(piece.offset, piece.data));
      TRY(check_gaps(entry.path));
    }
    TRY(data_.end_file(entry.size));
    TRY(check_gaps(entry.path));
    return index_.add(entry);
  }

  // 25 bytes of a sparse file's map make 64 KiB of zeros: what they come to has the limit of the tar itself.
  Result<> check_gaps(std::string_view path) const {
    if (data_.filled_bytes() <= limits_.max_bytes) return {};
    return fail(Errc::invalid_argument,
                "path \"" + std::string(path) + "\": the gaps of sparse files come to more than " +
                    std::to_string(limits_.max_bytes) + " bytes",
                "raise DIATOM_MAX_LAYER_SIZE if you trust it");
  }

  TarStream& tar_;
  tar::Reader reader_;
  DataWriter data_;
  IndexWriter index_;
  const LayerLimits& limits_;
};

// Inflates the blob, lets `read` have the tar, and names the layer in what goes wrong. Three threads for a layer: what
// brings and keeps the blob, what inflates it, what writes its files.
template <class T>
Result<T> with_tar(ReadAhead& blob, std::string_view name, const LayerLimits& limits, const CancelToken& cancel,
                   const std::function<Result<T>(TarStream&)>& read) {
  auto named = [&](const Error& error) {
    return std::unexpected(Error{error.code, "layer " + std::string(name) + ": " + error.message, error.hint});
  };
  auto source = inflate(blob);
  if (!source) return named(source.error());
  TarStream tar(**source, limits, cancel);
  auto result = read(tar);
  if (!result) return named(result.error());
  return result;
}

// What brings the blob has the least to do of the three. Where there are two CPUs, it is not to take one from another
// thread each time that something comes: the kernel leaves that one waiting, also when the other CPU has nothing to do.
ReadAhead blob_ahead(ByteSource& blob) { return ReadAhead(blob, ReadAhead::Priority::low); }

}  // namespace

Result<LayerInfo> write_layer(ByteSource& blob, std::string_view name, int data_fd, int index_fd,
                              const LayerLimits& limits, const CancelToken& cancel) {
  ReadAhead packed = blob_ahead(blob);
  return with_tar<LayerInfo>(packed, name, limits, cancel, [&](TarStream& tar) -> Result<LayerInfo> {
    return LayerWriter(tar, data_fd, index_fd, limits).run();
  });
}

Result<std::string> layer_diff_id(ByteSource& blob, std::string_view name, const LayerLimits& limits,
                                  const CancelToken& cancel) {
  ReadAhead packed = blob_ahead(blob);
  return with_tar<std::string>(packed, name, limits, cancel, [](TarStream& tar) -> Result<std::string> {
    while (!TRY(tar.next()).empty()) {
    }
    return "sha256:" + tar.digest_hex();
  });
}

}  // namespace diatom::rootfs
