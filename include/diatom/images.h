// The facade: images. (What a registry wants to know of its user: diatom/registry.h.)
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diatom/error.h"
#include "diatom/export.h"
#include "diatom/locations.h"
#include "diatom/registry.h"
#include "diatom/spec.h"

namespace diatom {

// One file of the block device that is an image's root: the device is the files one behind the other.
struct ImageExtent {
  std::string path;
  uint64_t bytes = 0;  // the whole file; a multiple of 4096
};

struct ImageInfo {
  std::string id;                    // "sha256:…", the digest of its config
  std::vector<std::string> tags;     // "busybox:latest"
  std::vector<std::string> digests;  // "busybox@sha256:…": what registries called it when it was pulled or pushed
  std::string manifest_digest;       // "sha256:…"
  std::string created;               // RFC 3339, as the image says; may be empty
  int64_t loaded_ns = 0;             // since 1970 UTC
  uint64_t size_bytes = 0;           // of its layers, uncompressed
  std::string architecture;          // GOARCH, "amd64"
  std::string variant;               // "v8"; mostly empty
  std::string os;                    // GOOS, "linux"
  std::map<std::string, std::string> labels;
  std::vector<std::string> layers;       // diff ids, lowest first
  std::string config_json;               // the OCI image config as it came
  std::vector<ImageExtent> root_device;  // EROFS metadata, then the data of each layer
  std::string damage;                    // why its config cannot be read: what comes of it is empty then; list() only
};

// What `run` needs of an image's config, decoded.
struct ImageDefaults {
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> env;
  std::string working_dir;
  std::string user;
  std::string stop_signal = {};
  std::optional<HealthCheck> health = {};
  std::map<std::string, std::string> labels = {};
  std::vector<std::string> exposed_ports = {};  // "80/tcp"
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

// When to ask the registry (contract.md, "pull image").
enum class PullPolicy {
  always,   // the registry's word counts; what is there already is not fetched again
  newer,    // asks for the digest, and pulls when it differs; an image that is there serves when nobody answers
  missing,  // asks nobody when the image is there
  never,    // an image that is not there is an error
};
// "always", "newer", "missing" (podman also: "ifmissing"), "never"; anything else is invalid_argument.
DIATOM_API Result<PullPolicy> parse_pull_policy(std::string_view text);

// One step of one blob, for people to look at. Bytes are those that went over the wire.
struct TransferProgress {
  enum class Phase { waiting, exists, downloading, uploading, mounted, retrying, done };
  std::string id;  // the first 12 digits of the blob's digest
  Phase phase = Phase::waiting;
  uint64_t done_bytes = 0;
  uint64_t total_bytes = 0;
  std::string note;  // retrying: why; mounted: from where
};
// Called from several threads, but never by two at once; must not block for long. At most a few dozen calls a second
// for each blob.
using ProgressHandler = std::function<void(const TransferProgress&)>;

struct PullOptions {
  PullPolicy policy = PullPolicy::always;
  std::string platform;  // "linux/arm64/v8", "arm64"; the host's when empty
  RegistryAccess access;
  ProgressHandler on_progress;
};
struct PulledImage {
  std::string id;
  std::string reference;  // familiar, with the tag or the digest that it was found under
  std::string digest;     // "sha256:…" that the registry gave for the reference: of the manifest or of its index
  bool fetched = false;   // false: what was there serves
};

struct PushOptions {
  RegistryAccess access;
  ProgressHandler on_progress;
};
struct PushedImage {
  std::string reference;
  std::string digest;  // "sha256:…" of the manifest
  uint64_t size_bytes = 0;
};

// One step of how an image came about (image-spec config.md, "history").
struct HistoryEntry {
  std::string created;  // RFC 3339, as the image says
  std::string created_by;
  std::string comment;
  uint64_t size_bytes = 0;  // of its layer, uncompressed
  bool empty_layer = false;
  std::string image_id;  // of the newest entry only; the others' are not known
};

struct ImportOptions {
  std::string reference;             // the name it gets; none when empty
  std::vector<std::string> changes;  // as `docker import --change`: CMD ENTRYPOINT ENV EXPOSE LABEL STOPSIGNAL USER
                                     // VOLUME WORKDIR ONBUILD, in a Dockerfile's words
  std::string message;               // the history's comment
  std::string platform;              // the host's when empty
};

struct PruneOptions {
  bool all = false;                 // every image that no container was made from, rather than those without a name
  std::optional<int64_t> until_ns;  // only what was loaded before, since 1970 UTC
  std::vector<std::pair<std::string, std::optional<std::string>>> labels;      // all must be there
  std::vector<std::pair<std::string, std::optional<std::string>>> not_labels;  // none may be there
};
struct RemovedImage {
  std::vector<std::string> untagged;  // its names, and what registries called it
  std::string deleted;                // the id; empty when only a name went
};

struct PrunedImages {
  std::vector<RemovedImage> removed;
  uint64_t freed_bytes = 0;
};

// Begins to load what registries are asked with, which takes some milliseconds: whoever opens a store in order to pull
// can have it done beside that. Nothing fails here: the pull tells what cannot be loaded. What is returned waits for
// the end when it goes. Any thread.
DIATOM_API std::future<void> begin_loading_registry_client();

// The images of the store. Several processes may use it at once. Not for use by two threads, but for
// cancel().
class DIATOM_API Images {
 public:
  static Result<Images> open(const Locations& locations = {});
  Images(Images&&) noexcept;
  Images& operator=(Images&&) noexcept;
  ~Images();

  // Reads an OCI image layout (image-spec image-layout.md; a folder or a tar of it) or a docker archive (`docker
  // save`), and makes each image in it ready to run. A tar may be compressed. `path` "-" is standard input. All or
  // nothing for each image; what failed leaves nothing behind. Errors: invalid_argument names the object in the
  // archive.
  Result<std::vector<LoadedImage>> load(const std::string& path);
  // Newest first. One that is damaged hides no other, and can be removed or pulled again.
  Result<std::vector<ImageInfo>> list();
  // By name, id or unique prefix of one.
  Result<ImageInfo> inspect(std::string_view reference);
  Result<ResolvedImage> resolve(std::string_view reference);
  // A name goes; the image goes with its last name. What a registry calls it (name@sha256:…) is a name only where it
  // has no other: else it alone goes. By id: the image with all its names, which needs `force` when there are several.
  // Refused while a container has been made from it, unless `force`.
  Result<RemovedImage> remove(std::string_view reference, bool force);
  // Fetches an image from a registry (distribution-spec) and makes it ready to run; layers that are here are not
  // fetched again. Digests are verified; what failed or was killed leaves nothing that looks present. Errors:
  // image_pull names the reference, what was asked of which registry, and what to do; not_found for PullPolicy::never.
  Result<PulledImage> pull(std::string_view reference, const PullOptions& options);
  // Every tag of a repository, one after the other. `repository` has neither tag nor digest.
  Result<std::vector<PulledImage>> pull_all_tags(std::string_view repository, const PullOptions& options);
  // Sends the image of that name to the registry in its name: the very bytes it was pulled or loaded with, so that its
  // digest stays. Blobs that the registry has already, in this repository or another of ours, are not sent.
  Result<PushedImage> push(std::string_view reference, const PushOptions& options);
  // Another name for an image; one that has it already loses it. Copies nothing.
  Result<> tag(std::string_view source, std::string_view target);
  // Writes images, with the names that were used, as one tar that is an OCI layout and a docker archive (`docker load`,
  // skopeo, podman and load() read it). To a descriptor: borrowed; a pipe will do.
  Result<> save(const std::vector<std::string>& references, int out_fd);
  // Makes an image of one layer from the tar of a root file system (plain, gzip, zstd). `path` "-" is standard input.
  Result<LoadedImage> import_rootfs(const std::string& path, const ImportOptions& options);
  Result<std::vector<HistoryEntry>> history(std::string_view reference);  // newest first
  // Removes images that nothing refers to.
  Result<PrunedImages> prune(const PruneOptions& options);

  // Ends what is in progress with Errc::cancelled. From any thread, and from a signal handler.
  void cancel();

 private:
  struct DIATOM_HIDDEN Impl;
  explicit Images(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace diatom
