#include "image/archive.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <vector>

#include "base/file.h"
#include "image/unpack.h"
#include "rootfs/inflate.h"
#include "rootfs/path.h"
#include "tar/reader.h"

namespace diatom::image {

namespace {

constexpr size_t copy_block = 1 << 20;
constexpr int look_at_token_ms = 100;
constexpr size_t most_files = 1 << 16;

class FileSource final : public rootfs::ByteSource {
 public:
  FileSource(int fd, const CancelToken& cancel) : fd_(fd), cancel_(cancel) {}
  // The wait for a slow writer on standard input is no signal's to end: it may be another thread's that gets it. So the
  // token is looked at now and then.
  Result<size_t> read(std::span<std::byte> out) override {
    for (;;) {
      TRY(cancel_.check());
      pollfd event{fd_, POLLIN, 0};
      int ready = ::poll(&event, 1, look_at_token_ms);
      if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
      if (ready < 0) return fail_errno("poll");
      ssize_t got = ::read(fd_, out.data(), out.size());
      if (got >= 0) return static_cast<size_t>(got);
      if (errno != EINTR && errno != EAGAIN) return fail_errno("read");
    }
  }

 private:
  int fd_;
  const CancelToken& cancel_;
};

class OwnedFileSource final : public rootfs::ByteSource {
 public:
  OwnedFileSource(UniqueFd fd, const CancelToken& cancel) : fd_(std::move(fd)), source_(fd_.get(), cancel) {}
  Result<size_t> read(std::span<std::byte> out) override { return source_.read(out); }

 private:
  UniqueFd fd_;
  FileSource source_;
};

// An OCI layout in a folder. Names are opened one by one without following links: a layout has none, and a hostile one
// must not make us read what lies elsewhere.
class Folder final : public Archive {
 public:
  Folder(UniqueFd root, const store::Paths& paths, const CancelToken& cancel)
      : root_(std::move(root)), paths_(paths), cancel_(cancel) {}

  Result<std::optional<store::Blob>> get(const std::string& path) override {
    std::string clean = TRY(rootfs::normalise_path(path));
    UniqueFd at(::dup(root_.get()));
    for (size_t begin = 0; begin < clean.size();) {
      size_t end = std::min(clean.find('/', begin), clean.size());
      std::string name = clean.substr(begin, end - begin);
      int kind = end == clean.size() ? O_RDONLY | O_NONBLOCK : O_RDONLY | O_DIRECTORY;
      UniqueFd next(::openat(at.get(), name.c_str(), kind | O_NOFOLLOW | O_CLOEXEC));
      if (!next && (errno == ENOENT || errno == ENOTDIR)) return std::optional<store::Blob>();
      if (!next) return fail_errno("open " + path);
      at = std::move(next);
      begin = end + 1;
    }
    struct stat status{};
    if (::fstat(at.get(), &status) < 0 || !S_ISREG(status.st_mode))
      return fail(Errc::invalid_argument, "open " + path + ": it is no regular file");
    store::BlobWriter writer = TRY(store::BlobWriter::create(paths_));
    FileSource source(at.get(), cancel_);
    std::vector<std::byte> block(copy_block);
    for (;;) {
      size_t got = TRY(source.read(block));
      if (got == 0) break;
      TRY(writer.write(std::span(block).first(got)));
    }
    return std::optional(TRY(writer.commit()));
  }

 private:
  UniqueFd root_;
  const store::Paths& paths_;
  const CancelToken& cancel_;
};

// An archive that inflates without end is stopped where a layer would be.
class Bounded final : public rootfs::ByteSource {
 public:
  Bounded(rootfs::ByteSource& source, uint64_t limit) : source_(source), limit_(limit) {}
  Result<size_t> read(std::span<std::byte> out) override {
    size_t got = TRY(source_.read(out));
    bytes_ += got;
    if (bytes_ <= limit_) return got;
    return fail(Errc::invalid_argument, "it is larger than " + std::to_string(limit_) + " bytes when inflated",
                "raise DIATOM_MAX_LAYER_SIZE if you trust it");
  }

 private:
  rootfs::ByteSource& source_;
  uint64_t limit_;
  uint64_t bytes_ = 0;
};

// A tar, brought into the content store as a whole.
class Tar final : public Archive {
 public:
  static Result<std::unique_ptr<Archive>> read(int fd, const std::string& name, const store::Paths& paths,
                                               const CancelToken& cancel) {
    auto tar = std::make_unique<Tar>();
    FileSource file(fd, cancel);
    rootfs::Blocks blocks(file);
    auto inflated = TRY(rootfs::inflate(blocks));
    rootfs::LayerLimits limits = TRY(layer_limits());
    Bounded bounded(*inflated, limits.max_bytes);
    auto result = tar->ingest(bounded, paths);
    if (!result)
      return fail(result.error().code, "read archive " + name + ": " + result.error().message, result.error().hint);
    return tar;
  }

  Result<std::optional<store::Blob>> get(const std::string& path) override {
    std::string clean = TRY(rootfs::normalise_path(path));
    if (auto link = links_.find(clean); link != links_.end()) clean = link->second;
    auto found = files_.find(clean);
    return found == files_.end() ? std::optional<store::Blob>() : std::optional(found->second);
  }

 private:
  Result<> ingest(rootfs::ByteSource& source, const store::Paths& paths) {
    rootfs::Blocks blocks(source);
    tar::Reader reader([&] { return blocks.next(); });
    for (auto entry = TRY(reader.next()); entry; entry = TRY(reader.next())) {
      if (files_.size() + links_.size() >= most_files)
        return fail(Errc::invalid_argument, "it has more than 65536 files: no image archive does");
      std::string path = TRY(rootfs::normalise_link_target(entry->name));
      if (entry->kind == tar::Kind::hard_link) {
        links_[path] = TRY(rootfs::normalise_link_target(entry->target));
      } else if (entry->kind == tar::Kind::symlink) {
        add_symlink(path, entry->target);
      } else if (entry->kind == tar::Kind::regular) {
        store::BlobWriter writer = TRY(store::BlobWriter::create(paths));
        for (auto piece = TRY(reader.read()); !piece.data.empty(); piece = TRY(reader.read()))
          TRY(writer.write(piece.data));
        files_[path] = TRY(writer.commit());
      }
    }
    return {};
  }

  // Old docker archives share a layer as "<id>/layer.tar" → "../<other>/layer.tar".
  void add_symlink(const std::string& path, std::string_view target) {
    size_t slash = path.rfind('/');
    std::string directory = slash == std::string::npos ? "" : path.substr(0, slash);
    while (target.starts_with("../")) {
      target.remove_prefix(3);
      size_t up = directory.rfind('/');
      directory = up == std::string::npos ? "" : directory.substr(0, up);
    }
    links_[path] = directory.empty() ? std::string(target) : directory + "/" + std::string(target);
  }

  std::map<std::string, store::Blob> files_;
  std::map<std::string, std::string> links_;
};

}  // namespace

Result<std::unique_ptr<rootfs::ByteSource>> open_stream(const std::string& path, const CancelToken& cancel) {
  UniqueFd fd;
  if (path == "-")
    fd.reset(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
  else
    fd = TRY(open_file(path, O_RDONLY));
  if (!fd) return fail_errno("open standard input");
  return std::make_unique<OwnedFileSource>(std::move(fd), cancel);
}

Result<std::unique_ptr<Archive>> open_archive(const std::string& path, const store::Paths& paths,
                                              const CancelToken& cancel) {
  if (path == "-") return Tar::read(STDIN_FILENO, "(standard input)", paths, cancel);
  UniqueFd fd = TRY(open_file(path, O_RDONLY));
  struct stat status{};
  if (::fstat(fd.get(), &status) < 0) return fail_errno("stat " + path);
  if (S_ISDIR(status.st_mode)) return std::make_unique<Folder>(std::move(fd), paths, cancel);
  return Tar::read(fd.get(), path, paths, cancel);
}

}  // namespace diatom::image
