// A layer's tar, read once: libarchive parses it, file contents go straight to the data file, everything else becomes
// an entry of the index. The digest of the uncompressed tar is taken from the same bytes on their way through.
#include "rootfs/layer.h"

#include <locale.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "base/file.h"
#include "base/hash.h"
#include "rootfs/data_writer.h"
#include "rootfs/inflate.h"
#include "rootfs/layer_index.h"
#include "rootfs/libarchive.h"
#include "rootfs/path.h"
#include "rootfs/read_ahead.h"
#include "rootfs/xattrs.h"

namespace diatom::rootfs {

namespace {

constexpr size_t index_flush = 1 << 20;
constexpr uint64_t largest_file = 8ULL << 40;  // with everything else it must fit into 2^32 blocks
constexpr std::string_view whiteout_prefix = ".wh.";
constexpr std::string_view opaque_marker = ".wh..wh..opq";

// libarchive turns the names of pax headers from UTF-8 into the locale's characters. If that is UTF-8, too, it composes
// them on the way (NFC): "e" and U+0301 come out as U+00E9, another name, which may be another file's. In the C locale
// whatever is not ASCII cannot be turned, and then it leaves us the bytes as they are, with a warning. For this thread,
// and for as long as the object lives; the locale itself is the process's: several layers are read at once.
class CLocale {
 public:
  CLocale() {
    static const locale_t plain = ::newlocale(LC_CTYPE_MASK, "C", nullptr);
    if (plain != nullptr) before_ = ::uselocale(plain);
  }
  CLocale(const CLocale&) = delete;
  CLocale& operator=(const CLocale&) = delete;
  CLocale(CLocale&&) = delete;
  CLocale& operator=(CLocale&&) = delete;
  ~CLocale() {
    if (before_ != nullptr) ::uselocale(before_);
  }

 private:
  locale_t before_ = nullptr;
};

// The uncompressed tar on its way to libarchive: hashed, counted, limited.
class TarStream {
 public:
  TarStream(ByteSource& source, const LayerLimits& limits, const CancelToken& cancel)
      : source_(source), limits_(limits), cancel_(cancel) {}

  // 0 = the end. A failure stays: everything after it fails the same way.
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

  static la_ssize_t read_callback(archive* handle, void* self, const void** block) {
    auto* stream = static_cast<TarStream*>(self);
    auto next = stream->next();
    if (!next) {
      stream->error_ = next.error();
      libarchive().set_error(handle, EIO, "%s", next.error().message.c_str());
      return -1;
    }
    *block = next->data();
    return static_cast<la_ssize_t>(next->size());
  }

  const std::optional<Error>& error() const { return error_; }
  uint64_t bytes() const { return bytes_; }
  std::string digest_hex() { return hash_.finish_hex(); }

 private:
  ReadAhead source_;
  const LayerLimits& limits_;
  const CancelToken& cancel_;
  Sha256 hash_;
  uint64_t bytes_ = 0;
  std::optional<Error> error_;
};

struct FreeArchive {
  void operator()(archive* handle) const { libarchive().read_free(handle); }
};
using Archive = std::unique_ptr<archive, FreeArchive>;

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
      : tar_(tar), data_(data_fd), index_(index_fd), limits_(limits), handle_(libarchive().read_new()) {}

  Result<LayerInfo> run() {
    libarchive().read_support_format_tar(handle_.get());
    if (libarchive().read_open(handle_.get(), &tar_, nullptr, TarStream::read_callback, nullptr) != ARCHIVE_OK)
      return fail_archive("open tar");
    for (;;) {
      archive_entry* entry = nullptr;
      int result = libarchive().read_next_header(handle_.get(), &entry);
      if (result == ARCHIVE_EOF) break;
      // A warning is about a name that is no UTF-8, or an attribute unknown to libarchive: the entry is whole.
      if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return fail_archive("read tar");
      if (index_.entries() >= limits_.max_entries)
        return fail(Errc::invalid_argument, "it has more than " + std::to_string(limits_.max_entries) + " entries");
      TRY(add(entry));
    }
    if (tar_.error()) return std::unexpected(*tar_.error());
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
  std::unexpected<Error> fail_archive(std::string_view what) const {
    if (tar_.error()) return std::unexpected(*tar_.error());
    const char* why = libarchive().error_string(handle_.get());
    return fail(Errc::invalid_argument, std::string(what) + ": " + (why != nullptr ? why : "unknown format"));
  }

  Result<> add(archive_entry* from) {
    const char* name = libarchive().entry_pathname(from);
    if (name == nullptr) return fail(Errc::invalid_argument, "read tar: an entry has no name");
    std::string path = TRY(normalise_path(name));
    size_t slash = path.rfind('/');
    std::string base = slash == std::string::npos ? path : path.substr(slash + 1);
    if (base.starts_with(whiteout_prefix)) return add_whiteout(path, base, slash);

    Entry entry;
    entry.path = path;
    entry.mode = libarchive().entry_perm(from) & 07777;
    entry.uid = static_cast<uint32_t>(libarchive().entry_uid(from));
    entry.gid = static_cast<uint32_t>(libarchive().entry_gid(from));
    entry.mtime_s = libarchive().entry_mtime(from);
    entry.mtime_ns = static_cast<uint32_t>(std::clamp<long>(libarchive().entry_mtime_nsec(from), 0, 999'999'999));
    if (entry.mtime_s < 0 && entry.mtime_ns > 0) {
      // libarchive reads "-1.5" as -1 s and 500 ms; the fraction belongs to the sign.
      --entry.mtime_s;
      entry.mtime_ns = 1'000'000'000 - entry.mtime_ns;
    }
    std::string xattrs = attributes(from);
    entry.xattrs = xattrs;
    std::string target;
    if (const char* link = libarchive().entry_hardlink(from)) {
      target = TRY(normalise_link_target(link));
      entry.kind = EntryKind::hard_link;
      entry.target = target;
      entry.xattrs = {};
      return index_.add(entry);
    }
    switch (libarchive().entry_filetype(from)) {
      case AE_IFREG:
        return add_file(entry, from);
      case AE_IFDIR:
        entry.kind = EntryKind::directory;
        break;
      case AE_IFLNK: {
        const char* link = libarchive().entry_symlink(from);
        target = link != nullptr ? link : "";
        if (target.empty() || target.size() > 4095)
          return fail(Errc::invalid_argument, "path \"" + path + "\": a symbolic link with an unusable target");
        entry.kind = EntryKind::symlink;
        entry.target = target;
        break;
      }
      case AE_IFCHR:
      case AE_IFBLK:
        entry.kind = libarchive().entry_filetype(from) == AE_IFCHR ? EntryKind::char_device : EntryKind::block_device;
        entry.rdev_major = static_cast<uint32_t>(libarchive().entry_rdevmajor(from));
        entry.rdev_minor = static_cast<uint32_t>(libarchive().entry_rdevminor(from));
        break;
      case AE_IFIFO:
        entry.kind = EntryKind::fifo;
        break;
      default:
        return fail(Errc::invalid_argument, "path \"" + path + "\": a file of a kind that a layer cannot hold");
    }
    if (path.empty() && entry.kind != EntryKind::directory)
      return fail(Errc::invalid_argument, "path \"/\": the root can only be a directory");
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

  Result<> add_file(Entry& entry, archive_entry* from) {
    if (entry.path.empty()) return fail(Errc::invalid_argument, "path \"/\": the root can only be a directory");
    int64_t size = libarchive().entry_size(from);
    if (size < 0 || static_cast<uint64_t>(size) > largest_file)
      return fail(Errc::invalid_argument, "path \"" + std::string(entry.path) + "\": larger than 8 TiB");
    entry.kind = EntryKind::regular;
    entry.size = static_cast<uint64_t>(size);
    entry.first_block = data_.next_block();
    if (entry.first_block + entry.size / block_size > largest_file / block_size)
      return fail(Errc::invalid_argument, "path \"" + std::string(entry.path) + "\": the layer is larger than 8 TiB");
    for (;;) {
      const void* block = nullptr;
      size_t length = 0;
      la_int64_t offset = 0;
      int result = libarchive().read_data_block(handle_.get(), &block, &length, &offset);
      if (result == ARCHIVE_EOF) break;
      if (result != ARCHIVE_OK) return fail_archive("read \"" + std::string(entry.path) + "\"");
      if (offset < 0 || static_cast<uint64_t>(offset) > entry.size ||
          length > entry.size - static_cast<uint64_t>(offset))
        return fail(Errc::invalid_argument, "path \"" + std::string(entry.path) + "\": data beyond its end");
      TRY(data_.write(static_cast<uint64_t>(offset), std::span(static_cast<const std::byte*>(block), length)));
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

  static std::string attributes(archive_entry* from) {
    if (libarchive().entry_xattr_reset(from) == 0) return {};
    std::vector<std::pair<std::string, std::string>> found;
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    while (libarchive().entry_xattr_next(from, &name, &value, &size) == ARCHIVE_OK)
      found.emplace_back(name, std::string(static_cast<const char*>(value), size));
    return encode_xattrs(std::move(found));
  }

  TarStream& tar_;
  DataWriter data_;
  IndexWriter index_;
  const LayerLimits& limits_;
  Archive handle_;
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

}  // namespace

Result<LayerInfo> write_layer(ByteSource& blob, std::string_view name, int data_fd, int index_fd,
                              const LayerLimits& limits, const CancelToken& cancel) {
  CLocale locale;
  ReadAhead packed(blob);
  TRY(load_libarchive());  // while the first bytes are on their way
  return with_tar<LayerInfo>(packed, name, limits, cancel, [&](TarStream& tar) -> Result<LayerInfo> {
    return LayerWriter(tar, data_fd, index_fd, limits).run();
  });
}

Result<std::string> layer_diff_id(ByteSource& blob, std::string_view name, const LayerLimits& limits,
                                  const CancelToken& cancel) {
  ReadAhead packed(blob);
  return with_tar<std::string>(packed, name, limits, cancel, [](TarStream& tar) -> Result<std::string> {
    while (!TRY(tar.next()).empty()) {
    }
    return "sha256:" + tar.digest_hex();
  });
}

}  // namespace diatom::rootfs
