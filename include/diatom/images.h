// The facade: images.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "diatom/error.h"

namespace diatom {

// One file of the block device that is an image's root: the device is the files one behind the other.
struct ImageExtent {
  std::string path;
  uint64_t bytes = 0;  // the whole file; a multiple of 4096
};

struct ImageInfo {
  std::string id;                        // "sha256:…", the digest of its config
  std::vector<std::string> tags;         // "busybox:latest"
  std::string manifest_digest;           // "sha256:…"
  std::string created;                   // RFC 3339, as the image says; may be empty
  int64_t loaded_ns = 0;                 // since 1970 UTC
  uint64_t size_bytes = 0;               // of its layers, uncompressed
  std::string architecture;              // GOARCH, "amd64"
  std::string os;                        // GOOS, "linux"
  std::vector<std::string> layers;       // diff ids, lowest first
  std::string config_json;               // the OCI image config as it came
  std::vector<ImageExtent> root_device;  // EROFS metadata, then the data of each layer
};

// What `run` needs of an image's config, decoded.
struct ImageDefaults {
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> env;
  std::string working_dir;
  std::string user;
};

struct ResolvedImage {
  std::string id;
  ImageDefaults defaults;
  std::vector<ImageExtent> root_device;
};

struct LoadedImage {
  std::string id;
  std::vector<std::string> tags;  // that it was given
};

struct RemovedImage {
  std::vector<std::string> untagged;
  std::string deleted;  // the id; empty when only a name went
};

// The images of the store at $DIATOM_HOME. Several processes may use it at once. Not for use by two threads, but for
// cancel().
class Images {
 public:
  static Result<Images> open();
  Images(Images&&) noexcept;
  Images& operator=(Images&&) noexcept;
  ~Images();

  // Reads an OCI image layout (image-spec image-layout.md; a folder or a tar of it) or a docker archive (`docker
  // save`), and makes each image in it ready to run. A tar may be compressed. `path` "-" is standard input. All or
  // nothing for each image; what failed leaves nothing behind. Errors: invalid_argument names the object in the
  // archive.
  Result<std::vector<LoadedImage>> load(const std::string& path);
  Result<std::vector<ImageInfo>> list();  // newest first
  // By name, id or unique prefix of one.
  Result<ImageInfo> inspect(std::string_view reference);
  Result<ResolvedImage> resolve(std::string_view reference);
  // A name goes; the image goes with its last name. By id: the image with all its names, which needs `force` when there
  // are several. Refused while a container has been made from it, unless `force`.
  Result<RemovedImage> remove(std::string_view reference, bool force);
  // Ends a load() in progress with Errc::cancelled. From any thread, and from a signal handler.
  void cancel();

 private:
  struct Impl;
  explicit Images(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace diatom
