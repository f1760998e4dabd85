// save: one tar that is an OCI image layout (index.json) and a docker archive (manifest.json) over the same blobs.
#include "image/save.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "image/events.h"
#include "image/stored_blob.h"
#include "oci/manifest.h"
#include "oci/reference.h"
#include "store/content_store.h"
#include "tar/writer.h"

namespace diatom::image {

namespace {

using nlohmann::json;

constexpr size_t copy_block = 1 << 20;

struct Chosen {
  store::ImageRecord record;
  std::string document;  // the manifest
  oci::Manifest manifest;
  std::vector<oci::Reference> names;
};

std::string blob_path(const oci::Digest& digest) { return "blobs/sha256/" + digest.hex(); }

// The same images give the same archive.
tar::Entry entry_of(std::string path, uint64_t size) { return {.name = std::move(path), .size = size}; }

Result<> add(tar::Writer& tar, std::string path, std::string_view content) {
  TRY(tar.add(entry_of(std::move(path), content.size())));
  return tar.write(std::as_bytes(std::span(content)));
}

Result<> add(tar::Writer& tar, const std::string& path, uint64_t size, rootfs::ByteSource& source) {
  TRY(tar.add(entry_of(path, size)));
  std::vector<std::byte> block(copy_block);
  uint64_t left = size;
  for (size_t got; (got = TRY(source.read(block))) > 0; left -= got) {
    if (got > left)
      return fail(Errc::internal, "save: " + path + " is longer than its " + std::to_string(size) + " bytes");
    TRY(tar.write(std::span(block).first(got)));
  }
  return {};
}

// A full disk, or a reader that has gone, is the file's that we write, not the store's.
Result<> write_out(int fd, std::span<const std::byte> bytes) {
  auto written = write_all(fd, bytes);
  if (written) return {};
  return fail(written.error().code, "save: " + written.error().message, written.error().hint);
}

// Every manifest once, whatever it was called by.
Result<std::vector<Chosen>> choose(store::Store& store, const std::vector<std::string>& references) {
  std::vector<Chosen> chosen;
  std::map<std::string, size_t> places;
  for (const std::string& reference : references) {
    store::ImageRecord record = TRY(store.images().find(reference));
    auto [place, added] = places.emplace(record.manifest, chosen.size());
    if (added) {
      Chosen& image = chosen.emplace_back();
      image.document = TRY(store::read_blob(store.paths(), oci::Digest::from_hex(record.manifest)));
      image.manifest = TRY(oci::parse_manifest(image.document));
      image.record = std::move(record);
    }
    // An image that was asked for by its id comes without a name, as with docker.
    Chosen& image = chosen[place->second];
    auto name = oci::Reference::parse(reference);
    if (!name || !name->digest.empty()) continue;
    bool has_it = std::ranges::find(image.record.tags, name->canonical()) != image.record.tags.end();
    bool twice = std::ranges::find(image.names, name->canonical(), &oci::Reference::canonical) != image.names.end();
    if (has_it && !twice) image.names.push_back(*name);
  }
  return chosen;
}

std::string index_json(const std::vector<Chosen>& images) {
  json manifests = json::array();
  for (const Chosen& image : images) {
    json entry = {{"mediaType", image.manifest.media_type.empty() ? std::string(oci::media_type::manifest)
                                                                  : image.manifest.media_type},
                  {"digest", "sha256:" + image.record.manifest},
                  {"size", image.document.size()}};
    if (image.names.empty()) manifests.push_back(entry);
    for (const oci::Reference& name : image.names) {
      entry["annotations"] = {{"io.containerd.image.name", name.canonical()},
                              {"org.opencontainers.image.ref.name", name.tag}};
      manifests.push_back(entry);
    }
  }
  return json{{"schemaVersion", 2}, {"mediaType", oci::media_type::index}, {"manifests", manifests}}.dump();
}

std::string docker_json(const std::vector<Chosen>& images) {
  json list = json::array();
  for (const Chosen& image : images) {
    json layers = json::array();
    for (const oci::Descriptor& layer : image.manifest.layers) layers.push_back(blob_path(layer.digest));
    json tags = json::array();
    for (const oci::Reference& name : image.names) tags.push_back(name.familiar());
    list.push_back({{"Config", blob_path(image.manifest.config.digest)}, {"RepoTags", tags}, {"Layers", layers}});
  }
  return list.dump();
}

}  // namespace

Result<> save_images(store::Store& store, const std::vector<std::string>& references, int out_fd,
                     const CancelToken& cancel) {
  // Nothing that is being read may be swept away by another process.
  FileLock lock = TRY(store.lock_for_adding(cancel));
  std::vector<Chosen> images = TRY(choose(store, references));
  tar::Writer tar([out_fd](std::span<const std::byte> bytes) { return write_out(out_fd, bytes); });
  // The small ones first: a reader of a stream knows what comes.
  TRY(add(tar, "oci-layout", R"({"imageLayoutVersion":"1.0.0"})"));
  TRY(add(tar, "index.json", index_json(images)));
  TRY(add(tar, "manifest.json", docker_json(images)));
  std::set<std::string> done;
  for (const Chosen& image : images) {
    if (done.insert(image.record.manifest).second)
      TRY(add(tar, blob_path(oci::Digest::from_hex(image.record.manifest)), image.document));
    std::vector<oci::Descriptor> blobs = {image.manifest.config};
    blobs.insert(blobs.end(), image.manifest.layers.begin(), image.manifest.layers.end());
    for (const oci::Descriptor& blob : blobs) {
      if (!done.insert(blob.digest.hex()).second) continue;
      auto source = TRY(open_stored_blob(store.paths(), blob, cancel));
      TRY(add(tar, blob_path(blob.digest), blob.size, *source));
    }
  }
  TRY(tar.finish());
  // What was asked for is done: a full disk under the store is no failure of it.
  for (const Chosen& image : images) {
    std::string id = "sha256:" + image.record.id;
    [[maybe_unused]] auto ignored = store.events().record(image_event(store.paths(), "save", id, id, image.record.id));
  }
  return {};
}

}  // namespace diatom::image
