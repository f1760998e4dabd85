// Image archives in memory: an OCI layout and what `docker save` writes.
#pragma once

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/platform/platform.h"
#include "support/tar.h"

namespace diatom::test {

using nlohmann::json;

struct ArchiveImage {
  std::vector<std::string> layers;  // tars
  Packing packing = Packing::gzip;
  std::string name = "busybox:latest";
  std::string architecture = platform::host_info().arch;
  json config = json::object();  // "config" of the image config
};

inline json config_of(const ArchiveImage& image) {
  json diff_ids = json::array();
  for (const auto& layer : image.layers) diff_ids.push_back("sha256:" + sha256_hex(layer));
  return {{"architecture", image.architecture},
          {"os", "linux"},
          {"config", image.config},
          {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}};
}

// The files of an OCI layout by their paths; a test may change them before they become a tar or a folder.
class Layout {
 public:
  explicit Layout(const ArchiveImage& image) {
    static constexpr const char* suffixes[] = {"", "+gzip", "+zstd"};
    files["oci-layout"] = R"({"imageLayoutVersion":"1.0.0"})";
    json layers = json::array();
    for (const auto& layer : image.layers)
      layers.push_back(blob(pack(layer, image.packing), std::string("application/vnd.oci.image.layer.v1.tar") +
                                                            suffixes[static_cast<size_t>(image.packing)]));
    json config = blob(config_of(image).dump(), "application/vnd.oci.image.config.v1+json");
    id = config["digest"];
    json manifest = blob(json{{"schemaVersion", 2}, {"config", config}, {"layers", layers}}.dump(),
                         "application/vnd.oci.image.manifest.v1+json");
    manifest["annotations"] = {{"org.opencontainers.image.ref.name", image.name}};
    set_index({manifest});
  }

  void set_index(std::vector<json> manifests) {
    index = {{"schemaVersion", 2}, {"manifests", std::move(manifests)}};
    files["index.json"] = index.dump();
  }
  json blob(const std::string& content, const std::string& media_type) {
    std::string hex = sha256_hex(content);
    files["blobs/sha256/" + hex] = content;
    return {{"mediaType", media_type}, {"digest", "sha256:" + hex}, {"size", content.size()}};
  }
  std::string as_tar() const {
    std::vector<TarEntry> entries;
    for (const auto& [path, content] : files) entries.push_back(file(path, content));
    return tar(entries);
  }

  std::map<std::string, std::string> files;
  json index;
  std::string id;  // of the image
};

inline std::string docker_archive(const ArchiveImage& image) {
  std::vector<TarEntry> entries;
  json layers = json::array();
  for (size_t i = 0; i < image.layers.size(); ++i) {
    std::string path = std::to_string(i) + "/layer.tar";
    entries.push_back(file(path, image.layers[i]));
    layers.push_back(path);
  }
  entries.push_back(file("config.json", config_of(image).dump()));
  entries.push_back(
      file("manifest.json",
           json::array({{{"Config", "config.json"}, {"RepoTags", {image.name}}, {"Layers", layers}}}).dump()));
  return tar(entries);
}

}  // namespace diatom::test
