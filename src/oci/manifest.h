// The documents of OCI image-spec v1.1 and docker's of the same shape, as values. Parsing is total: any text gives a
// value or an error (invalid_argument) that names the field.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "oci/digest.h"
#include "oci/platform.h"

namespace diatom::oci {

namespace media_type {
inline constexpr std::string_view index = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view manifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view config = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view layer_tar = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view docker_list = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view docker_manifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view docker_config = "application/vnd.docker.container.image.v1+json";
}  // namespace media_type

bool is_index_type(std::string_view media_type);
bool is_manifest_type(std::string_view media_type);
// A root file system layer in a compression that we read: tar, +gzip, +zstd, docker's, and the "foreign" ones.
bool is_layer_type(std::string_view media_type);

struct Descriptor {  // descriptor.md
  std::string media_type;
  Digest digest;
  uint64_t size = 0;
  std::map<std::string, std::string> annotations;
  Platform platform;  // empty fields: not said
};

struct Index {  // image-index.md
  std::vector<Descriptor> manifests;
};

struct Manifest {  // manifest.md
  std::string media_type;
  Descriptor config;
  std::vector<Descriptor> layers;
};

struct History {  // config.md, "history"
  std::string created;
  std::string created_by;
  std::string comment;
  bool empty_layer = false;
};

// docker's image specification v1.2, "Healthcheck"; OCI leaves it out, and tools write it all the same.
struct Healthcheck {
  std::vector<std::string> test;  // {}: not said; {"NONE"}, {"CMD", argv…}, {"CMD-SHELL", line}
  int64_t interval_ns = 0;        // 0: the default, as for the others
  int64_t timeout_ns = 0;
  int64_t start_period_ns = 0;
  int64_t retries = 0;
};

struct ImageConfig {  // config.md
  Platform platform;
  std::string created;  // RFC 3339, as it was written
  std::vector<std::string> env;
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::string working_dir;
  std::string user;
  std::string stop_signal;
  Healthcheck healthcheck;
  std::vector<std::string> exposed_ports;  // "80/tcp", as they were written
  std::map<std::string, std::string> labels;
  std::vector<Digest> diff_ids;
  std::vector<History> history;  // oldest first
};

Result<Index> parse_index(std::string_view text);
Result<Manifest> parse_manifest(std::string_view text);
Result<ImageConfig> parse_config(std::string_view text);

// manifest.json of `docker save` (the docker image specification v1.2, "Combined Image JSON + Filesystem Changeset").
struct DockerArchiveImage {
  std::string config;  // a path in the archive
  std::vector<std::string> repo_tags;
  std::vector<std::string> layers;  // paths in the archive, lowest first
};
Result<std::vector<DockerArchiveImage>> parse_docker_archive(std::string_view text);

// The manifest that stands for an image which came without one.
std::string print_manifest(const Manifest& manifest);

}  // namespace diatom::oci
