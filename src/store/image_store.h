// Which images there are, and what belongs to each. The database says what exists; files that it does not name are
// leftovers and go at the next sweep.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/database.h"
#include "store/event_store.h"
#include "store/paths.h"

namespace diatom::store {

struct LayerRecord {
  std::string diff_id;  // hex
  uint64_t data_bytes = 0;
  uint64_t tar_bytes = 0;
  uint64_t entries = 0;
  std::string blob;      // hex digest of the layer as it was packed, in this image
  bool on_disk = false;  // its files and the blob have reached the disk; never recorded
};

struct RegistryDigest {
  std::string repository;  // canonical, without tag: "docker.io/library/busybox"
  std::string digest;      // hex
  bool operator==(const RegistryDigest&) const = default;
};

struct ImageRecord {
  std::string id;        // hex digest of the config
  std::string manifest;  // hex digest: the one that the image was found by, else the newest; the layers' blobs are its
  uint64_t metadata_bytes = 0;
  int64_t loaded_ns = 0;
  std::vector<std::string> tags;        // canonical
  std::vector<RegistryDigest> digests;  // what registries call it
  std::vector<LayerRecord> layers;      // lowest first
};

// What one call returns is of one moment, whatever other processes do meanwhile.
// What changes something takes the events that tell of it, and records them in the same transaction.
class ImageStore {
 public:
  ImageStore(Database& database, const Paths& paths, EventStore& events)
      : database_(database), paths_(paths), events_(events) {}

  Result<std::optional<LayerRecord>> layer(const std::string& diff_id);
  // Whether some image has that layer in that packing: then it was verified that the blob holds it.
  Result<bool> is_recorded(const std::string& diff_id, const std::string& blob);
  // Records the image, its layers, names and digests in one go; a name that another image had moves. What an image of
  // that id had before stays. Everything it names must be on the disk already.
  Result<> put(const ImageRecord& image, const std::vector<Event>& events = {});
  Result<std::vector<ImageRecord>> list();  // newest first
  // By name, by what a registry calls it (name@sha256:…), by id ("sha256:…" or hex) or by its unique prefix. not_found
  // and invalid_argument (ambiguous) name what was asked for.
  Result<ImageRecord> find(std::string_view reference);
  // The image that came by that manifest (hex).
  Result<std::optional<ImageRecord>> find_manifest(const std::string& digest);
  // With the manifest of the record.
  Result<> set_tag(const std::string& canonical, const ImageRecord& image, const std::vector<Event>& events = {});
  // Nothing, where somebody has removed the image meanwhile.
  Result<> add_digest(const RegistryDigest& digest, const std::string& id, const std::vector<Event>& events = {});
  // With the last tag of a repository go the digests that this repository knows the image by.
  Result<> remove_tag(const std::string& canonical, const std::vector<Event>& events = {});
  Result<> remove_digest(const RegistryDigest& digest, const std::string& id, const std::vector<Event>& events = {});
  // Repositories of that registry in which some image of ours has the blob, at most `limit`.
  Result<std::vector<std::string>> repositories_with_blob(const std::string& registry, const std::string& blob,
                                                          size_t limit);
  // With its names; files go at the next sweep.
  Result<> remove(const std::string& id, const std::vector<Event>& events = {});
  // Removes every file that no image needs. The caller holds the store's lock exclusively: nobody is loading.
  Result<> sweep();

 private:
  Result<> write_tag(const std::string& canonical, const ImageRecord& image);
  Result<> write_digest(const RegistryDigest& digest, const std::string& id);
  Result<> commit(Database::Transaction transaction, const std::vector<Event>& events);
  Result<> sync_content(const ImageRecord& image);
  Result<ImageRecord> read(const std::string& id, const std::string& manifest = {});
  Result<std::vector<std::string>> column(std::string_view sql,
                                          std::initializer_list<std::string_view> parameters = {});

  Database& database_;
  const Paths& paths_;
  EventStore& events_;
};

}  // namespace diatom::store
